// Starting, watching and collecting the runs of a sweep.
#include "nodes/sweep/run_sweep.hpp"

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <map>
#include <nlohmann/json.hpp>
#include <thread>

#include "nodes/base/digest.hpp"
#include "nodes/base/failure.hpp"
#include "nodes/base/file.hpp"
#include "nodes/experiment/experiment.hpp"
#include "nodes/launch/children.hpp"
#include "nodes/results/metrics.hpp"
#include "nodes/results/run_directory.hpp"
#include "nodes/sweep/sweep.hpp"

namespace lateral {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

volatile std::sig_atomic_t stopped_by = 0;
void on_signal(int signal) { stopped_by = signal; }

std::string read_file(const fs::path& path) {
  return lateral::read_file(path, experiment_bytes_max, "file of a sweep");
}

struct Folder {
  fs::path path;
  fs::path sweep() const { return path / "sweep.textproto"; }
  fs::path experiment() const { return path / "experiment.textproto"; }
  fs::path digest() const { return path / "digest"; }
  fs::path member(std::size_t i) const { return member_folder(path, i); }
  fs::path result(std::size_t i) const { return member(i).concat(".result"); }
  fs::path log(std::size_t i) const { return member(i).concat(".log"); }
};

/// Keeps other processes from resuming the same sweep.
FileLock lock_folder(const Folder& folder) {
  std::optional<FileLock> lock = FileLock::try_lock(folder.path);
  if (!lock) throw UserError(folder.path.string() + ": another sweep is writing to it");
  return *std::move(lock);
}

/// Of what was asked for: members of another experiment do not belong in the same table.
std::string digest_of(const Folder& folder) {
  return to_hex(sha256(read_file(folder.sweep()) + '\n' + read_file(folder.experiment()))) + "\n";
}

Folder make_folder(const SweepOptions& options, const Sweep& sweep) {
  Folder folder{options.out.empty() ? RunDirectory::default_path(sweep.name) : options.out};
  std::error_code error;
  if (fs::exists(folder.path, error) && !fs::is_empty(folder.path, error))
    throw UserError(folder.path.string() + ": exists and is not empty, expected a new folder");
  fs::create_directories(folder.path / "members", error);
  if (error) throw UserError(folder.path.string() + ": cannot be made: " + error.message());
  write_atomically(folder.experiment(),
                   with_plugins(read_file(sweep.experiment), sweep.experiment.string()));
  write_atomically(folder.sweep(), sweep.text);
  write_atomically(folder.digest(), digest_of(folder));
  return folder;
}

/// Fills in what the run left: its last epoch, and how its log ends if it failed.
SweepResult collect(const Folder& folder, std::size_t i, int exit_code) {
  SweepResult result{};
  result.status = exit_code == 0 ? SweepResult::Status::done
                  : exit_code == static_cast<int>(ExitCode::numerics)
                      ? SweepResult::Status::diverged
                      : SweepResult::Status::failed;
  std::ifstream metrics{folder.member(i) / "metrics.csv"};
  std::string line, last;
  while (std::getline(metrics, line))
    if (!line.empty() && line[0] != 'e') last = line;
  std::sscanf(last.c_str(), "%zu,%lf,%lf,%lf,%lf", &result.epochs, &result.train_loss,
              &result.train_accuracy, &result.test_loss, &result.test_accuracy);
  if (result.status == SweepResult::Status::done) {
    std::ifstream summary{folder.member(i) / "summary.json"};
    result.state_sha256 =
        nlohmann::json::parse(summary, nullptr, false).value("state_sha256", std::string());
    return result;
  }
  std::ifstream log{folder.log(i)};
  while (std::getline(log, line))
    if (!line.empty()) result.message = line;
  return result;
}

class Runner {
 public:
  Runner(const SweepOptions& options, const Folder& folder, const Sweep& sweep)
      : options_{options}, folder_{folder}, sweep_{sweep}, results_(sweep.members.size()) {
    for (std::size_t i = 0; i < results_.size(); ++i) {
      std::error_code error;
      if (fs::is_regular_file(folder.result(i), error))
        results_[i] = from_line(read_file(folder.result(i)));
      if (results_[i] && results_[i]->status == SweepResult::Status::failed)
        results_[i].reset();  // once more
      if (!results_[i]) waiting_.push_back(i);
    }
    std::reverse(waiting_.begin(), waiting_.end());
    at_start_ = results_.size() - waiting_.size();
    jobs_ = options.jobs > 0 ? static_cast<std::size_t>(options.jobs)
                             : std::max(1u, std::thread::hardware_concurrency());
  }

  /// Returns the signal that stopped it, or 0.  Throws UserError where a run does.
  int run() {
    constexpr std::chrono::milliseconds look_again{20};
    bool asked_to_stop = false;
    while (children_.running() > 0 || (!waiting_.empty() && stopped_by == 0)) {
      while (stopped_by == 0 && children_.running() < jobs_ && !waiting_.empty()) start_next();
      if (stopped_by != 0 && !asked_to_stop) {
        children_.signal_all(SIGINT);  // they leave a state to go on from
        asked_to_stop = true;
      }
      std::this_thread::sleep_for(look_again);
      for (const Children::Ended& ended : children_.reap()) on_end(ended);
    }
    clear_line();
    if (!mistake_.empty()) throw UserError(mistake_);
    return stopped_by;
  }

  const SweepResults& results() const { return results_; }

 private:
  void start_next() {
    const std::size_t i = waiting_.back();
    waiting_.pop_back();
    const std::string run = folder_.member(i).string();
    std::vector<std::string> words{"run", "--quiet", "--in-process", "--threads", "1"};
    if (!options_.data.empty()) words.insert(words.end(), {"--data", options_.data});
    std::error_code ignored;
    if (fs::exists(folder_.member(i) / "checkpoint.h5", ignored)) {
      words.insert(words.end(), {"--resume", run});
    } else {
      fs::remove_all(folder_.member(i), ignored);
      words.insert(words.end(), {folder_.experiment().string(), "--out", run});
      for (const std::string& set : sweep_.members[i].sets)
        words.insert(words.end(), {"--set", set});
    }
    fs::remove(folder_.log(i), ignored);
    children_.start(std::to_string(i), words, folder_.log(i), std::nullopt);
    draw();
  }

  void on_end(const Children::Ended& ended) {
    const auto i = static_cast<std::size_t>(std::stoul(ended.name));
    const int code = WIFEXITED(ended.status) ? WEXITSTATUS(ended.status) : -1;
    if (stopped_by != 0 && code > 128) return;               // stopped with us, to be resumed
    if (code == static_cast<int>(ExitCode::user_mistake)) {  // no member would fare better
      mistake_ = collect(folder_, i, code).message;
      stopped_by = SIGTERM;
      return;
    }
    results_[i] = collect(folder_, i, code);
    if (results_[i]->status == SweepResult::Status::failed && results_[i]->message.empty())
      results_[i]->message = describe_status(ended.status);
    write_atomically(folder_.result(i), to_line(*results_[i]));
    report(i);
    draw();
  }

  std::size_t done() const {
    return static_cast<std::size_t>(
        std::count_if(results_.begin(), results_.end(), [](const auto& r) { return !!r; }));
  }

  std::string time_left() const {
    const std::size_t here = done() - at_start_;
    if (here == 0) return "";
    const double seconds = std::chrono::duration<double>(Clock::now() - began_).count() /
                           static_cast<double>(here) *
                           static_cast<double>(results_.size() - done());
    char text[48];
    if (seconds < 90)
      std::snprintf(text, sizeof text, ", about %.0f s left", seconds);
    else
      std::snprintf(text, sizeof text, ", about %.0f min left", seconds / 60);
    return text;
  }

  /// One line a member where nobody watches; on a terminal only the last line stays.
  void report(std::size_t i) {
    if (options_.quiet) return;
    const SweepMember& member = sweep_.members[i];
    clear_line();
    std::string setting = member.arm;
    for (std::size_t a = 0; a < sweep_.axes.size(); ++a)
      if (!member.values[a].empty()) setting += " " + sweep_.axes[a] + "=" + member.values[a];
    std::fprintf(stderr, "%zu/%zu %s seed %llu: ", done(), results_.size(), setting.c_str(),
                 static_cast<unsigned long long>(member.seed));
    if (results_[i]->status == SweepResult::Status::done)
      std::fprintf(stderr, "test loss %.5g, accuracy %s\n", results_[i]->test_loss,
                   accuracy_text(results_[i]->test_accuracy).c_str());
    else
      std::fprintf(stderr, "%s\n",
                   results_[i]->status == SweepResult::Status::diverged
                       ? "diverged"
                       : ("failed: " + results_[i]->message).c_str());
  }

  void draw() {
    if (options_.quiet || ::isatty(STDERR_FILENO) == 0) return;
    clear_line();
    std::fprintf(stderr, "%zu of %zu runs done, %zu running%s", done(), results_.size(),
                 children_.running(), time_left().c_str());
    std::fflush(stderr);
    line_open_ = true;
  }

  void clear_line() {
    if (line_open_) std::fputs("\r\033[K", stderr);
    line_open_ = false;
  }

  const SweepOptions& options_;
  const Folder& folder_;
  const Sweep& sweep_;
  SweepResults results_;
  std::vector<std::size_t> waiting_;  // the next one last
  std::size_t jobs_ = 1, at_start_ = 0;
  Clock::time_point began_ = Clock::now();
  Children children_;
  bool line_open_ = false;
  std::string mistake_;  // of the user, as a run reported it
};

}  // namespace

int run_sweep(const SweepOptions& options) {
  Folder folder{options.resume};
  if (options.resume.empty()) {
    folder = make_folder(options, load_sweep(options.file));
  } else if (std::error_code error; !fs::exists(folder.sweep(), error)) {
    throw UserError(options.resume.string() + ": not the folder of a sweep, expected " +
                    folder.sweep().string());
  }
  const FileLock lock = lock_folder(folder);
  if (read_file(folder.digest()) != digest_of(folder))
    throw UserError(folder.path.string() +
                    ": sweep.textproto or experiment.textproto is not as it was when the sweep "
                    "began, expected them unchanged");
  std::error_code ignored;
  fs::create_directories(folder.path / "members", ignored);
  const Sweep sweep = load_sweep(folder.sweep());
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) std::signal(signal, on_signal);
  Runner runner{options, folder, sweep};
  const int signal = runner.run();
  write_atomically(folder.path / "sweep.csv", sweep_csv(sweep, runner.results()));
  if (signal != 0) {
    std::cerr << "lateral: stopped; to go on: lateral sweep --resume " << folder.path.string()
              << std::endl;
    return 128 + signal;
  }
  const std::string table = sweep_table(sweep, runner.results());
  write_atomically(folder.path / "table.txt", table);
  if (!options.quiet) std::cout << table << "\nresults in " << folder.path.string() << std::endl;
  const auto has_failed = [](const auto& r) { return r->status == SweepResult::Status::failed; };
  const auto failed = std::find_if(runner.results().begin(), runner.results().end(), has_failed);
  if (failed == runner.results().end()) return 0;
  const auto count = std::count_if(runner.results().begin(), runner.results().end(), has_failed);
  std::cerr << "lateral: " << count << (count == 1 ? " member" : " members")
            << " failed, to be tried again with --resume; the first: " << (*failed)->message
            << std::endl;
  return static_cast<int>(ExitCode::network);
}

}  // namespace lateral
