// From a sweep file to its members.
#include "nodes/sweep/sweep_file.hpp"

#include <fmt/format.h>
#include <google/protobuf/text_format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <set>

#include "core/random.hpp"
#include "nodes/base/failure.hpp"
#include "nodes/base/file.hpp"
#include "nodes/base/name.hpp"
#include "nodes/experiment/experiment.hpp"
#include "nodes/experiment/settings.hpp"
#include "proto/sweep.pb.h"

namespace lateral {
namespace {

namespace fs = std::filesystem;

using Axes = std::vector<proto::Axis>;
using Values = std::vector<std::pair<std::string, std::string>>;  // path, value

constexpr std::array metrics{"test_accuracy", "test_loss", "train_accuracy", "train_loss"};

std::string number_text(double value) { return fmt::format("{:.6g}", value); }

std::string path_of(const std::string& set) { return set.substr(0, set.find('=')); }

bool is_range(const proto::Axis& axis) { return axis.has_from() || axis.has_to(); }

[[noreturn]] void refuse_member_count(const std::string& where) {
  throw UserError(
      fmt::format("{}: more than {} members, expected fewer", where, sweep_members_max));
}

void check_axis(const proto::Axis& axis, bool is_random, const std::string& where) {
  if (axis.path().empty())
    throw UserError(fmt::format("{}: an axis has no path, expected path: \"…\"", where));
  const auto refuse = [&](const std::string& reason) {
    throw UserError(fmt::format("{}: axis '{}' {}", where, axis.path(), reason));
  };
  if (is_range(axis) && axis.value_size() > 0)
    refuse("has both values and a range, expected one of them");
  if (is_range(axis) && !(axis.from() > 0 && axis.from() < axis.to() && std::isfinite(axis.to())))
    refuse(fmt::format("goes from {} to {}, expected 0 < from < to", number_text(axis.from()),
                       number_text(axis.to())));
  if (is_range(axis) && !is_random) refuse("has a range in a grid, expected values, or random: N");
  if (!is_range(axis) && axis.value_size() == 0)
    refuse("has no value, expected value: \"…\", or from and to");
  const std::set<std::string> values(axis.value().begin(), axis.value().end());
  if (static_cast<int>(values.size()) != axis.value_size())
    refuse("has a value twice, expected each once");
}

/// Refuses settings that have a field of their own in the sweep file.
void check_path(const std::string& path, const std::string& where) {
  if (path == "seed") throw UserError(fmt::format("{}: sets seed, expected seeds: N", where));
  if (path == "data.validation_samples")
    throw UserError(
        fmt::format("{}: sets data.validation_samples, expected validation_samples: N", where));
}

bool is_printable_name(const std::string& text) {
  return text.size() <= 64 && std::none_of(text.begin(), text.end(), [](unsigned char c) {
           return c < ' ' || c == '"' || c == 127;
         });
}

/// The fields outside of arms and axes, as far as they can be checked without the experiment.
void check_head(const proto::Sweep& settings, const std::string& where) {
  if (settings.experiment().empty())
    throw UserError(fmt::format("{}: no experiment, expected experiment: \"FILE\"", where));
  if (settings.name().empty() || !is_name(settings.name()))
    throw UserError(fmt::format("{}: name is '{}', expected letters, digits, '_' and '-'", where,
                                one_line(settings.name())));
  if (settings.random() > sweep_members_max || settings.seeds() > sweep_members_max)
    refuse_member_count(where);
  if (settings.seeds() < 1)
    throw UserError(fmt::format("{}: seeds is 0, expected at least 1", where));
  if (std::find(metrics.begin(), metrics.end(), settings.metric()) == metrics.end())
    throw UserError(fmt::format("{}: metric is '{}', expected one of {}", where, settings.metric(),
                                fmt::join(metrics, ", ")));
}

/// The --set options that are appended to those of arm and axes in all members.
std::vector<std::string> validation_sets(const proto::Sweep& settings, const Experiment& experiment,
                                         const std::string& where) {
  if (settings.has_validation_samples())
    return {fmt::format("data.validation_samples={}", settings.validation_samples())};
  if (experiment.batches.validation_samples == 0)
    throw UserError(fmt::format(
        "{}: nothing to choose settings by but the test set, expected validation_samples: N (0: "
        "use the test set)",
        where));
  return {};
}

Axes axes_of(const proto::Arm& arm, const proto::Sweep& settings) {
  Axes axes(arm.axis().begin(), arm.axis().end());
  axes.insert(axes.end(), settings.axis().begin(), settings.axis().end());
  return axes;
}

/// Checks every arm with its axes. Returns the paths of all axes.
std::vector<std::string> check_arms(const proto::Sweep& settings, const std::string& where) {
  std::vector<std::string> paths;
  std::set<std::string> arms;
  for (const proto::Arm& arm : settings.arm()) {
    if (!arms.insert(arm.name()).second)
      throw UserError(
          fmt::format("{}: two arms are called '{}', expected different names", where, arm.name()));
    if (!is_printable_name(arm.name()))
      throw UserError(
          fmt::format("{}: an arm is called '{}', expected at most 64 printable "
                      "characters without quotes",
                      where, one_line(arm.name())));
    std::set<std::string> taken;
    for (const auto* sets : {&settings.set(), &arm.set()})
      for (const std::string& set : *sets) {
        check_path(path_of(set), where);
        taken.insert(path_of(set));
      }
    for (const proto::Axis& axis : axes_of(arm, settings)) {
      check_axis(axis, settings.random() > 0, where);
      check_path(axis.path(), where);
      if (!taken.insert(axis.path()).second)
        throw UserError(
            fmt::format("{}: '{}' is given more than once for arm '{}', expected one set or axis "
                        "of it",
                        where, axis.path(), arm.name()));
      if (std::find(paths.begin(), paths.end(), axis.path()) == paths.end())
        paths.push_back(axis.path());
    }
  }
  return paths;
}

/// Number of settings of these axes. Counting stops above sweep_members_max.
std::size_t count_settings(const Axes& axes, std::uint32_t random) {
  if (random > 0) return random;
  std::size_t n = 1;
  for (const proto::Axis& axis : axes)
    if (n <= sweep_members_max) n *= static_cast<std::size_t>(axis.value_size());
  return n;
}

/// Upper bound of the memory for the settings of a member of an arm [bytes].
std::size_t member_bytes(const proto::Sweep& settings, const proto::Arm& arm, const Axes& axes,
                         std::size_t all_axes) {
  std::size_t bytes = sizeof(SweepMember) + all_axes * sizeof(std::string);
  for (const auto* sets : {&settings.set(), &arm.set()})
    for (const std::string& set : *sets) bytes += sizeof set + set.size();
  for (const proto::Axis& axis : axes) {
    std::size_t longest = 32;  // of a random number as text
    for (const std::string& value : axis.value()) longest = std::max(longest, value.size());
    // Path and value, "PATH=VALUE", and the value in SweepMember::values.
    bytes += 3 * sizeof(std::string) + 2 * axis.path().size() + 3 * longest;
  }
  return bytes;
}

/// Throws UserError if all members together exceed a limit. Called before the members are made,
/// since a few long axes could exhaust the memory.
void check_size(const proto::Sweep& settings, std::size_t all_axes, const std::string& where) {
  std::size_t members = 0, bytes = 0;
  for (const proto::Arm& arm : settings.arm()) {
    const Axes axes = axes_of(arm, settings);
    const std::size_t n = count_settings(axes, settings.random()) * settings.seeds();
    members += n;
    bytes += n * member_bytes(settings, arm, axes, all_axes);
    if (members > sweep_members_max) refuse_member_count(where);
    if (bytes > sweep_bytes_max)
      throw UserError(
          fmt::format("{}: the settings of all members would take {} bytes, expected at most {}",
                      where, bytes, sweep_bytes_max));
  }
}

/// Every combination of the axes' values.
std::vector<Values> all_combinations(const Axes& axes) {
  std::vector<Values> all{{}};
  for (const proto::Axis& axis : axes) {
    std::vector<Values> next;
    for (const Values& values : all)
      for (const std::string& value : axis.value()) {
        next.push_back(values);
        next.back().emplace_back(axis.path(), value);
      }
    all = std::move(next);
  }
  return all;
}

/// `count` random combinations: a value of the list, or a number drawn log-uniformly from the
/// range. A pure function of the positions of the arm and of its axes.
std::vector<Values> random_combinations(const Axes& axes, std::uint32_t arm, std::uint32_t count) {
  std::vector<Values> all(count);
  for (std::size_t a = 0; a < axes.size(); ++a) {
    const RandomStream random(0, arm, a, Purpose::sweep);
    for (std::uint32_t i = 0; i < count; ++i) {
      const proto::Axis& axis = axes[a];
      const std::string value =
          is_range(axis)
              ? number_text(axis.from() * std::pow(axis.to() / axis.from(), random.uniform(i)))
              : axis.value(static_cast<int>(
                    random.below(i, static_cast<std::uint64_t>(axis.value_size()))));
      all[i].emplace_back(axis.path(), value);
    }
  }
  return all;
}

}  // namespace

Sweep load_sweep(const fs::path& file, const DataFolders& folders) {
  Sweep sweep =
      parse_sweep(read_text_file(file, experiment_bytes_max, "sweep file"), file, folders);
  // A mistake in a setting is reported before the first run starts.
  for (std::size_t i = 0; i < sweep.members.size(); ++i)
    if (i == 0 || sweep.members[i].setting != sweep.members[i - 1].setting)
      load_experiment(sweep.experiment, sweep.members[i].sets, folders);
  return sweep;
}

Sweep parse_sweep(const std::string& text, const fs::path& file, const DataFolders& folders) {
  const std::string where = file.string();
  proto::Sweep settings;
  parse_text(text, where, settings);
  check_head(settings, where);

  Sweep sweep;
  sweep.name = settings.name();
  sweep.metric = settings.metric();
  sweep.smaller_is_better = sweep.metric.ends_with("loss");
  sweep.experiment = (file.parent_path() / settings.experiment()).lexically_normal();
  proto::Sweep in_folder = settings;
  in_folder.set_experiment("experiment.textproto");
  google::protobuf::TextFormat::PrintToString(in_folder, &sweep.text);

  const std::vector<std::string> common(settings.set().begin(), settings.set().end());
  const Experiment base = load_experiment(sweep.experiment, common, folders);
  if (base.target != Target::label && !sweep.smaller_is_better)
    throw UserError(fmt::format(
        "{}: metric is '{}', which only targets that are labels have; expected test_loss or "
        "train_loss",
        where, sweep.metric));
  sweep.evaluated_on = settings.validation_samples() > 0 ? "validation" : base.evaluated_on();
  const std::vector<std::string> validation = validation_sets(settings, base, where);

  if (settings.arm_size() == 0) settings.add_arm();
  sweep.axes = check_arms(settings, where);
  check_size(settings, sweep.axes.size(), where);
  std::size_t setting = 0;
  for (int a = 0; a < settings.arm_size(); ++a) {
    const proto::Arm& arm = settings.arm(a);
    const Axes axes = axes_of(arm, settings);
    const std::vector<Values> combinations =
        settings.random() > 0
            ? random_combinations(axes, static_cast<std::uint32_t>(a), settings.random())
            : all_combinations(axes);
    for (const Values& values : combinations) {
      for (std::uint32_t i = 0; i < settings.seeds(); ++i) {
        SweepMember member{setting, arm.name(), std::vector<std::string>(sweep.axes.size()),
                           base.seed + i, common};
        member.sets.insert(member.sets.end(), arm.set().begin(), arm.set().end());
        for (const auto& [path, value] : values) {
          member.sets.push_back(path + "=" + value);
          const auto axis = std::find(sweep.axes.begin(), sweep.axes.end(), path);
          member.values[static_cast<std::size_t>(axis - sweep.axes.begin())] = value;
        }
        member.sets.insert(member.sets.end(), validation.begin(), validation.end());
        member.sets.push_back(fmt::format("seed={}", member.seed));
        sweep.members.push_back(std::move(member));
      }
      ++setting;
    }
  }
  return sweep;
}

}  // namespace lateral
