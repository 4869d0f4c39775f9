// Means and times from the reports of nodes.
#include "nodes/coordinator/run_statistics.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "nodes/base/failure.hpp"

namespace lateral {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_between(Clock::time_point from, Clock::time_point to) {
  return std::chrono::duration<double>(to - from).count();
}

double mean_loss(const wire::Sums& sums) {
  return sums.samples() > 0 ? sums.loss() / static_cast<double>(sums.samples()) : 0;
}

}  // namespace

RunStatistics::RunStatistics(const Experiment& experiment, const RunPlan& plan)
    : experiment_{experiment}, plan_{plan}, last_step_{plan.first_step()} {}

void RunStatistics::begin() {
  if (plan_.directory) epochs_ = read_metrics(plan_.directory->metrics(), plan_.first_epoch());
  if (plan_.resumed) epoch_sums_ = plan_.start.train;
  if (plan_.resumed) first_loss_ = plan_.start.first_loss;
  began_ = epoch_began_ = last_step_time_ = Clock::now();
}

double RunStatistics::accuracy(const wire::Sums& sums) const {
  if (experiment_.target != Target::label) return std::numeric_limits<double>::quiet_NaN();
  return sums.samples() > 0
             ? static_cast<double>(sums.correct()) / static_cast<double>(sums.samples())
             : 0;
}

double RunStatistics::wall_seconds() const {
  return (plan_.resumed ? plan_.start.wall_seconds : 0) +
         (began_ ? seconds_between(*began_, Clock::now()) : 0);
}

TrainingProgress RunStatistics::step(const wire::Progress& progress) {
  last_step_time_ = Clock::now();
  last_step_ = progress.step();
  epoch_sums_.set_loss(epoch_sums_.loss() + progress.loss_sum());
  epoch_sums_.set_correct(epoch_sums_.correct() + progress.correct());
  epoch_sums_.set_samples(epoch_sums_.samples() + progress.samples());
  epoch_samples_ += progress.samples();
  if (first_loss_ == 0) first_loss_ = mean_loss(epoch_sums_);
  const double seconds = std::max(seconds_between(epoch_began_, last_step_time_), 1e-9);
  return {progress.step(), progress.epoch(), mean_loss(epoch_sums_), accuracy(epoch_sums_),
          static_cast<double>(epoch_samples_) / seconds};
}

MetricsRow RunStatistics::epoch_done(const wire::EpochResult& result) {
  const double seconds = seconds_between(epoch_began_, last_step_time_);
  MetricsRow row;
  row.epoch = result.epoch();
  row.train_loss = mean_loss(result.train());
  row.train_accuracy = accuracy(result.train());
  row.test_loss = mean_loss(result.test());
  row.test_accuracy = accuracy(result.test());
  row.wall_seconds = wall_seconds();
  row.train_samples_per_second = seconds > 0 ? static_cast<double>(epoch_samples_) / seconds : 0;
  epochs_.push_back(row);
  train_seconds_ += seconds;
  train_samples_ += epoch_samples_;
  epoch_sums_.Clear();
  epoch_samples_ = 0;
  epoch_began_ = last_step_time_ = Clock::now();
  return row;
}

void RunStatistics::check_divergence() const {
  const MetricsRow& last = epochs_.back();
  const double limit = diverged_factor * std::max(1.0, first_loss_);
  if (plan_.evaluate_only || (std::isfinite(last.train_loss) && last.train_loss <= limit)) return;
  throw NumericsError(
      fmt::format("diverged: the mean training loss of epoch {} is {:.3g}, {:.0e} times that with "
                  "which the run "
                  "began is taken as the limit ({:.3g}); a smaller learning rate may help",
                  last.epoch, last.train_loss, diverged_factor, limit));
}

const Restart& RunStatistics::replaced(const std::string& node, std::uint32_t generation,
                                       const std::string& reason) {
  catching_up_[node] = {restarts_.size(), Clock::now()};
  restarts_.push_back({node, generation, last_step_, reason, std::nullopt});
  return restarts_.back();
}

void RunStatistics::readout_advanced(
    const std::function<bool(const std::string& node)>& is_running) {
  std::erase_if(catching_up_, [&](const auto& entry) {
    const auto& [node, catching_up] = entry;
    if (!is_running(node)) return false;
    restarts_[catching_up.restart].seconds = seconds_between(catching_up.lost, Clock::now());
    return true;
  });
}

Summary RunStatistics::summary(const std::vector<NodeSpec>& nodes,
                               const NodeSummary& coordinator) const {
  Summary summary;
  summary.name = experiment_.name;
  summary.seed = experiment_.seed;
  summary.product = experiment_.compute.product()->description();
  summary.epochs = epochs_;
  const int epochs = plan_.evaluate_only ? 1 : experiment_.epochs;
  summary.complete = epochs_.size() >= static_cast<std::size_t>(epochs);
  summary.evaluated_on = experiment_.evaluated_on();
  summary.wall_seconds = wall_seconds();
  summary.train_samples_per_second =
      train_seconds_ > 0 ? static_cast<double>(train_samples_) / train_seconds_ : 0;
  summary.restarts = restarts_;
  summary.nodes.push_back(coordinator);
  for (const NodeSpec& node : nodes) {
    const wire::Finished& finished = finished_.at(node.name);
    summary.nodes.push_back({node.name, node.role, finished.pid(), finished.peak_rss_bytes(),
                             finished.cpu_seconds(), finished.messages_sent(),
                             finished.bytes_sent()});
  }
  return summary;
}

}  // namespace lateral
