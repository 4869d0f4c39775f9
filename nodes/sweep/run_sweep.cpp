// Starting, watching and collecting the runs of a sweep.
#include "nodes/sweep/run_sweep.hpp"

#include <fmt/format.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>
#include <thread>

#include "nodes/base/digest.hpp"
#include "nodes/base/failure.hpp"
#include "nodes/base/file.hpp"
#include "nodes/base/signals.hpp"
#include "nodes/base/version.hpp"
#include "nodes/experiment/experiment.hpp"
#include "nodes/launch/children.hpp"
#include "nodes/results/metrics.hpp"
#include "nodes/results/progress.hpp"
#include "nodes/results/run_directory.hpp"
#include "nodes/sweep/sweep_folder.hpp"
#include "nodes/sweep/sweep_results.hpp"

namespace lateral {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;
using Status = SweepResult::Status;

volatile std::sig_atomic_t stop_signal = 0;
void on_signal(int signal) { stop_signal = signal; }

std::string read_text(const fs::path& file) {
  return read_file(file, experiment_bytes_max, "file of a sweep");
}

/// Digest of the sweep and its experiment: the members of one table must have the same experiment.
std::string digest_of(const SweepFolder& folder) {
  return to_hex(sha256(read_text(folder.sweep()) + '\n' + read_text(folder.experiment()))) + "\n";
}

SweepFolder create_folder(const fs::path& path, const Sweep& sweep, const DataFolders& folders) {
  const SweepFolder folder{path};
  std::error_code error;
  if (fs::exists(path, error) && !fs::is_empty(path, error))
    throw UserError(
        fmt::format("{}: exists and is not empty, expected a new folder", path.string()));
  fs::create_directories(folder.members(), error);
  if (error)
    throw UserError(fmt::format("{}: cannot be created: {}", path.string(), error.message()));
  write_atomically(folder.experiment(),
                   movable_text(read_text(sweep.experiment), sweep.experiment, folders));
  write_atomically(folder.sweep(), sweep.text);
  write_atomically(folder.digest(), digest_of(folder));
  return folder;
}

FileLock lock(const SweepFolder& folder) {
  std::optional<FileLock> lock = FileLock::try_lock(folder.path);
  if (!lock)
    throw UserError(fmt::format("{}: another sweep is writing to it", folder.path.string()));
  return std::move(*lock);
}

void check_unchanged(const SweepFolder& folder) {
  if (read_text(folder.digest()) != digest_of(folder))
    throw UserError(fmt::format(
        "{}: sweep.textproto or experiment.textproto has changed since the sweep began, "
        "expected them unchanged",
        folder.path.string()));
}

std::string state_digest(const fs::path& summary_file) {
  constexpr std::size_t bytes_max = std::size_t{64} << 20;
  const nlohmann::json summary =
      nlohmann::json::parse(read_file(summary_file, bytes_max, "summary of a run"), nullptr, false);
  if (summary.is_object())
    if (const auto digest = summary.find("state_sha256");
        digest != summary.end() && digest->is_string())
      return digest->get<std::string>();
  throw UserError(fmt::format("{}: damaged, expected state_sha256", summary_file.string()));
}

/// The message with which a run ended.
std::string message_in(const fs::path& log) {
  std::string message = last_line(log);
  constexpr std::string_view program = "lateral: ";
  if (message.starts_with(program)) message.erase(0, program.size());
  return message;
}

/// The result of a member whose process ended with this exit code.
SweepResult collect(const SweepFolder& folder, std::size_t i, int exit_code) {
  SweepResult result;
  result.status = exit_code == 0                                      ? Status::done
                  : exit_code == static_cast<int>(ExitCode::numerics) ? Status::diverged
                                                                      : Status::failed;
  if (result.status != Status::done) result.message = message_in(folder.log(i));
  try {
    const fs::path metrics = folder.member(i).metrics();
    const std::vector<MetricsRow> rows =
        fs::exists(metrics) ? read_metrics(metrics) : std::vector<MetricsRow>{};
    if (!rows.empty()) {
      result.epochs = rows.back().epoch;
      result.train_loss = rows.back().train_loss;
      result.train_accuracy = rows.back().train_accuracy;
      result.test_loss = rows.back().test_loss;
      result.test_accuracy = rows.back().test_accuracy;
    }
    if (result.status == Status::done)
      result.state_sha256 = state_digest(folder.member(i).summary());
  } catch (const UserError& damage) {
    result.status = Status::failed;
    result.message = damage.what();
  }
  return result;
}

/// Shows the progress of a sweep on standard error. On a terminal one line is redrawn.
class Display {
 public:
  explicit Display(bool quiet) : quiet_{quiet}, on_terminal_{!quiet && can_redraw_lines()} {}
  ~Display() { clear(); }

  /// Prints a permanent line.
  void report(const std::string& line) {
    if (quiet_) return;
    clear();
    fmt::print(stderr, "{}\n", line);
  }
  void show(const std::string& line) {
    if (!on_terminal_) return;
    clear();
    fmt::print(stderr, "{}", line.substr(0, static_cast<std::size_t>(terminal_columns() - 1)));
    std::fflush(stderr);
    is_drawn_ = true;
  }
  void clear() {
    if (is_drawn_) std::fputs("\r\033[K", stderr);
    is_drawn_ = false;
  }

 private:
  bool quiet_, on_terminal_;
  bool is_drawn_ = false;
};

class Runner {
 public:
  /// Reads existing results: their members are not run again, unless they failed.
  Runner(const SweepOptions& options, const SweepFolder& folder, const Sweep& sweep)
      : options_{options},
        folder_{folder},
        sweep_{sweep},
        results_(sweep.members.size()),
        display_{options.quiet} {
    for (std::size_t i = 0; i < results_.size(); ++i) {
      results_[i] = read_result(i);
      if (!results_[i]) waiting_.push_back(i);
    }
    std::reverse(waiting_.begin(), waiting_.end());
    done_at_start_ = results_.size() - waiting_.size();
    jobs_ = options.jobs > 0 ? static_cast<std::size_t>(options.jobs)
                             : std::max(1u, std::thread::hardware_concurrency());
  }

  /// Returns the signal that stopped the sweep, or 0.
  int run() {
    constexpr std::chrono::milliseconds interval{20};
    bool is_stopping = false;
    while (children_.running() > 0 || (!waiting_.empty() && stop_signal == 0)) {
      while (stop_signal == 0 && children_.running() < jobs_ && !waiting_.empty()) start_next();
      if (stop_signal != 0 && !is_stopping) {
        children_.signal_all(SIGINT);  // each run writes a checkpoint from which it can be resumed
        is_stopping = true;
      }
      std::this_thread::sleep_for(interval);
      for (const Children::Ended& ended : children_.reap()) on_end(ended);
    }
    display_.clear();
    return stop_signal;
  }

  const SweepResults& results() const { return results_; }
  /// Whether all members that failed in this session did so by a mistake of the user.
  bool only_user_errors() const { return user_errors_ == failures_; }

 private:
  /// SHA-256 of the effective configuration of a member.
  std::string configuration_sha256(std::size_t i) const {
    return to_hex(
        load_experiment(folder_.experiment(), sweep_.members[i].sets, options_.folders).digest);
  }

  /// The result of an earlier session; none if the member has to run.
  std::optional<SweepResult> read_result(std::size_t i) {
    const fs::path file = folder_.result(i);
    std::error_code failure;
    if (!fs::exists(file, failure)) return std::nullopt;
    try {
      const SweepResult result = parse_sweep_result(
          read_file(file, sweep_result_bytes_max, "result of a member"), file.string());
      if (result.configuration_sha256 != configuration_sha256(i))
        throw UserError(fmt::format("{}: of another configuration", file.string()));
      if (result.status == Status::failed) return std::nullopt;
      return result;
    } catch (const UserError& damage) {
      display_.report(fmt::format("{}; the member is run again", damage.what()));
      return std::nullopt;
    }
  }

  /// Whether an earlier session left a checkpoint of this member to resume from.
  bool can_resume(std::size_t i) const {
    const RunFiles run = folder_.member(i);
    std::error_code failure;
    return fs::exists(run.checkpoint(), failure) &&
           fs::is_regular_file(run.experiment(), failure) &&
           to_hex(sha256(read_text(run.experiment()))) == configuration_sha256(i);
  }

  void start_next() {
    const std::size_t i = waiting_.back();
    waiting_.pop_back();
    const std::string run = folder_.member(i).path().string();
    std::vector<std::string> arguments{"run", "--quiet", "--in-process", "--threads", "1"};
    if (!options_.folders.given.empty())
      arguments.insert(arguments.end(), {"--data", options_.folders.given.string()});
    std::error_code ignored;
    if (can_resume(i)) {
      arguments.insert(arguments.end(), {"--resume", run});
    } else {
      fs::remove_all(run, ignored);
      arguments.insert(arguments.end(), {folder_.experiment().string(), "--out", run});
      for (const std::string& set : sweep_.members[i].sets)
        arguments.insert(arguments.end(), {"--set", set});
    }
    fs::remove(folder_.log(i), ignored);
    children_.start(std::to_string(i), arguments, folder_.log(i), std::nullopt);
    show_progress();
  }

  void on_end(const Children::Ended& ended) {
    const auto i = static_cast<std::size_t>(std::stoul(ended.name));
    const int code = WIFEXITED(ended.status) ? WEXITSTATUS(ended.status) : -1;
    if (stop_signal != 0 && code > 128) return;  // stopped together with the sweep, can be resumed
    SweepResult result = collect(folder_, i, code);
    if (result.status == Status::failed && result.message.empty())
      result.message = describe_status(ended.status);
    failures_ += result.status == Status::failed ? 1 : 0;
    user_errors_ += code == static_cast<int>(ExitCode::user_error) ? 1 : 0;
    result.configuration_sha256 = configuration_sha256(i);
    write_atomically(folder_.result(i), to_json(result));
    results_[i] = std::move(result);
    report(i);
    show_progress();
  }

  std::size_t done() const {
    return static_cast<std::size_t>(
        std::count_if(results_.begin(), results_.end(), [](const auto& r) { return !!r; }));
  }

  std::string time_left() const {
    const std::size_t done_here = done() - done_at_start_;
    if (done_here == 0) return "";
    const double seconds = std::chrono::duration<double>(Clock::now() - began_).count() /
                           static_cast<double>(done_here) *
                           static_cast<double>(results_.size() - done());
    return seconds < 90 ? fmt::format(", about {:.0f} s left", seconds)
                        : fmt::format(", about {:.0f} min left", seconds / 60);
  }

  void report(std::size_t i) {
    const SweepMember& member = sweep_.members[i];
    const SweepResult& result = *results_[i];
    const std::string outcome =
        result.status == Status::done
            ? fmt::format("{} loss {:.5g}, accuracy {}", sweep_.evaluated_on, result.test_loss,
                          accuracy_text(result.test_accuracy))
        : result.status == Status::diverged ? "diverged"
                                            : fmt::format("failed: {}", result.message);
    display_.report(fmt::format("{}/{} {} seed {}: {}", done(), results_.size(),
                                setting_text(sweep_, member), member.seed, outcome));
  }

  void show_progress() {
    display_.show(fmt::format("{} of {} runs done, {} running{}", done(), results_.size(),
                              children_.running(), time_left()));
  }

  const SweepOptions& options_;
  const SweepFolder& folder_;
  const Sweep& sweep_;
  SweepResults results_;
  Display display_;
  std::vector<std::size_t> waiting_;  // the next one last
  std::size_t jobs_ = 1, done_at_start_ = 0;
  std::size_t failures_ = 0, user_errors_ = 0;
  Clock::time_point began_ = Clock::now();
  Children children_{Children::Kind::run};
};

}  // namespace

int run_sweep(const SweepOptions& options) {
  SweepFolder folder{options.resume};
  if (options.resume.empty()) {
    const Sweep sweep = load_sweep(options.file, options.folders);
    folder =
        create_folder(options.out.empty() ? make_default_folder(sweep.name) : fs::path(options.out),
                      sweep, options.folders);
  } else if (std::error_code error; !fs::exists(folder.sweep(), error)) {
    throw UserError(fmt::format("{}: not the folder of a sweep, expected {}", folder.path.string(),
                                folder.sweep().string()));
  }
  const FileLock held = lock(folder);
  check_unchanged(folder);
  std::error_code ignored;
  fs::create_directories(folder.members(), ignored);
  const Sweep sweep = load_sweep(folder.sweep(), options.folders);
  for (const int signal : stop_signals()) std::signal(signal, on_signal);
  Runner runner{options, folder, sweep};
  const int signal = runner.run();
  const SweepResults& results = runner.results();
  write_atomically(folder.csv(), sweep_csv(sweep, results));
  write_atomically(
      folder.info(),
      nlohmann::ordered_json{{"name", sweep.name}, {"version", version()}}.dump(2) + "\n");
  if (signal != 0) {
    fmt::print(stderr, "lateral: stopped; to resume: lateral sweep --resume {}\n",
               folder.path.string());
    return 128 + signal;
  }
  const std::string table = sweep_table(sweep, results);
  write_atomically(folder.table(), table);
  if (!options.quiet) fmt::print("{}\nresults in {}\n", table, folder.path.string());
  const auto count = [&](Status status) {
    return std::count_if(results.begin(), results.end(),
                         [&](const auto& result) { return result->status == status; });
  };
  if (count(Status::diverged) == std::ssize(results))
    throw NumericsError("every member of the sweep has diverged");
  const auto has_failed = [](const auto& result) { return result->status == Status::failed; };
  const auto failed = count(Status::failed);
  if (failed == 0) return 0;
  fmt::print(stderr, "lateral: {} member{} failed, to be run again with --resume; the first: {}\n",
             failed, failed == 1 ? "" : "s",
             (*std::find_if(results.begin(), results.end(), has_failed))->message);
  return static_cast<int>(runner.only_user_errors() ? ExitCode::user_error : ExitCode::network);
}

}  // namespace lateral
