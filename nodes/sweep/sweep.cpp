// From a sweep file to its members, and from their results to tables.
#include "nodes/sweep/sweep.hpp"

#include <google/protobuf/text_format.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <map>
#include <set>
#include <sstream>

#include "core/random.hpp"
#include "nodes/base/failure.hpp"
#include "nodes/base/file.hpp"
#include "nodes/base/name.hpp"
#include "nodes/base/version.hpp"
#include "nodes/experiment/experiment.hpp"
#include "nodes/experiment/settings.hpp"
#include "proto/sweep.pb.h"

namespace lateral {
namespace {

namespace fs = std::filesystem;
namespace pb = google::protobuf;

using Values = std::vector<std::pair<std::string, std::string>>;  // path, value

std::string number_text(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.6g", value);
  return text;
}

bool is_range(const proto::Axis& axis) { return axis.has_from() || axis.has_to(); }

void check_axis(const proto::Axis& axis, bool is_random, const std::string& where) {
  const std::string name = where + ": axis '" + axis.path() + "'";
  if (axis.path().empty()) throw UserError(where + ": an axis has no path, expected path: \"…\"");
  if (is_range(axis) && axis.value_size() > 0)
    throw UserError(name + " has both values and a range, expected one of them");
  if (is_range(axis) && !(axis.from() > 0 && axis.from() < axis.to() && std::isfinite(axis.to())))
    throw UserError(name + " goes from " + number_text(axis.from()) + " to " +
                    number_text(axis.to()) + ", expected 0 < from < to");
  if (is_range(axis) && !is_random)
    throw UserError(name + " has a range in a grid, expected values, or random: N");
  if (!is_range(axis) && axis.value_size() == 0)
    throw UserError(name + " has no value, expected value: \"…\", or from and to");
}

/// How many settings these axes have; no longer counted above the limit.
std::size_t count_settings(const std::vector<proto::Axis>& axes, std::uint32_t random) {
  if (random > 0) return random;
  std::size_t n = 1;
  for (const proto::Axis& axis : axes)
    if (n <= sweep_members_max) n *= static_cast<std::size_t>(axis.value_size());
  return n;
}

/// Memory that the settings of a member of an arm take at most [bytes].
std::size_t member_bytes(const std::vector<std::string>& common, const proto::Arm& arm,
                         const std::vector<proto::Axis>& axes, std::size_t all_axes) {
  std::size_t bytes = sizeof(SweepMember) + all_axes * sizeof(std::string);
  for (const std::string& set : common) bytes += sizeof set + set.size();
  for (const std::string& set : arm.set()) bytes += sizeof set + set.size();
  for (const proto::Axis& axis : axes) {
    std::size_t longest = 32;  // of a number that is drawn
    for (const std::string& value : axis.value()) longest = std::max(longest, value.size());
    // As path and value, as the two in one text, and the value among those of all axes.
    bytes += 3 * sizeof(std::string) + 2 * axis.path().size() + 3 * longest;
  }
  return bytes;
}

/// Every combination of the axes' values.
std::vector<Values> grid(const std::vector<proto::Axis>& axes) {
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

/// `count` draws; which, is a pure function of the arm and of the axes' place.
std::vector<Values> draws(const std::vector<proto::Axis>& axes, std::uint32_t arm,
                          std::uint32_t count) {
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

bool is_plain(const std::string& text) {
  return text.size() <= 64 && std::none_of(text.begin(), text.end(), [](unsigned char c) {
           return c < ' ' || c == '"' || c == 127;
         });
}

/// What a sweep says in another way may not be among its settings.
void check_path(const std::string& path, const std::string& where) {
  if (path == "seed") throw UserError(where + ": sets seed, expected seeds: N");
  if (path == "data.validation_samples")
    throw UserError(where + ": sets data.validation_samples, expected validation_samples: N");
}

double metric_of(const Sweep& sweep, const SweepResult& result) {
  if (sweep.metric == "train_loss") return result.train_loss;
  if (sweep.metric == "train_accuracy") return result.train_accuracy;
  if (sweep.metric == "test_loss") return result.test_loss;
  return result.test_accuracy;
}

const char* word(SweepResult::Status status) {
  switch (status) {
    case SweepResult::Status::done:
      return "done";
    case SweepResult::Status::diverged:
      return "diverged";
    case SweepResult::Status::failed:
      return "failed";
  }
  return "";
}

std::string quoted(const std::string& text) {
  if (text.find_first_of(",\"\n") == std::string::npos) return text;
  std::string out = "\"";
  for (const char c : text) out += c == '"' ? std::string("\"\"") : std::string(1, c);
  return out + "\"";
}

/// "learning.learning_rate=1e-3", without what an arm does not have.
std::string setting_text(const Sweep& sweep, const SweepMember& member) {
  std::string text = member.arm;
  for (std::size_t a = 0; a < sweep.axes.size(); ++a)
    if (!member.values[a].empty())
      text += (text.empty() ? "" : "  ") + sweep.axes[a] + "=" + member.values[a];
  return text.empty() ? "(the experiment)" : text;
}

}  // namespace

fs::path member_folder(const fs::path& sweep, std::size_t member) {
  std::string name = std::to_string(member);
  constexpr std::size_t digits = 5;
  if (name.size() < digits) name.insert(0, digits - name.size(), '0');
  return sweep / "members" / name;
}

Sweep load_sweep(const fs::path& file) {
  Sweep sweep = parse_sweep(read_file(file, experiment_bytes_max, "sweep file"), file);
  for (std::size_t i = 0; i < sweep.members.size(); ++i)  // complains now, not later
    if (i == 0 || sweep.members[i].setting != sweep.members[i - 1].setting)
      load_experiment(sweep.experiment, sweep.members[i].sets);
  return sweep;
}

Sweep parse_sweep(const std::string& text, const fs::path& file) {
  const std::string where = file.string();
  proto::Sweep settings;
  parse_text(text, where, settings);

  if (settings.experiment().empty())
    throw UserError(where + ": no experiment, expected experiment: \"FILE\"");
  if (settings.name().empty() || !is_name(settings.name()))
    throw UserError(where + ": name is '" + one_line(settings.name()) +
                    "', expected letters, digits, '_' and '-'");
  if (settings.random() > sweep_members_max || settings.seeds() > sweep_members_max)
    throw UserError(where + ": more than " + std::to_string(sweep_members_max) +
                    " members, expected fewer");
  if (settings.seeds() < 1) throw UserError(where + ": seeds is 0, expected at least 1");
  static const std::set<std::string> metrics{"train_loss", "train_accuracy", "test_loss",
                                             "test_accuracy"};
  if (!metrics.contains(settings.metric()))
    throw UserError(where + ": metric is '" + settings.metric() +
                    "', expected one of test_accuracy, test_loss, train_accuracy, train_loss");

  Sweep sweep;
  sweep.name = settings.name();
  sweep.metric = settings.metric();
  sweep.smaller_is_better = sweep.metric.ends_with("loss");
  sweep.experiment = (file.parent_path() / settings.experiment()).lexically_normal();
  proto::Sweep beside = settings;
  beside.set_experiment("experiment.textproto");
  pb::TextFormat::PrintToString(beside, &sweep.text);

  const std::vector<std::string> common(settings.set().begin(), settings.set().end());
  const Experiment base = load_experiment(sweep.experiment, common);
  if (base.target != Target::label && !sweep.smaller_is_better)
    throw UserError(where + ": metric is '" + sweep.metric +
                    "', which targets that are no labels do not have; expected test_loss or "
                    "train_loss");
  std::vector<std::string> validation;
  if (settings.has_validation_samples())
    validation.push_back("data.validation_samples=" +
                         std::to_string(settings.validation_samples()));
  else if (base.batches.validation_samples == 0)
    throw UserError(where +
                    ": nothing to choose settings by but the test set, expected "
                    "validation_samples: N (0 to use the test set all the same)");

  if (settings.arm_size() == 0) settings.add_arm();
  std::set<std::string> arms;
  for (const proto::Arm& arm : settings.arm()) {
    if (!arms.insert(arm.name()).second)
      throw UserError(where + ": two arms are called '" + arm.name() +
                      "', expected a name each of its own");
    if (!is_plain(arm.name()))
      throw UserError(where + ": an arm is called '" + one_line(arm.name()) +
                      "', expected at most 64 printable characters without quotes");
    std::set<std::string> taken;
    for (const auto* sets : {&settings.set(), &arm.set()})
      for (const std::string& set : *sets) {
        check_path(set.substr(0, set.find('=')), where);
        taken.insert(set.substr(0, set.find('=')));
      }
    for (const auto* axes : {&arm.axis(), &settings.axis()})
      for (const proto::Axis& axis : *axes) {
        check_axis(axis, settings.random() > 0, where);
        check_path(axis.path(), where);
        if (!taken.insert(axis.path()).second)
          throw UserError(where + ": '" + axis.path() + "' is given more than once for arm '" +
                          arm.name() + "', expected one set or axis of it");
        const std::set<std::string> values(axis.value().begin(), axis.value().end());
        if (static_cast<int>(values.size()) != axis.value_size())
          throw UserError(where + ": axis '" + axis.path() +
                          "' has a value twice, expected each once");
        if (std::find(sweep.axes.begin(), sweep.axes.end(), axis.path()) == sweep.axes.end())
          sweep.axes.push_back(axis.path());
      }
  }
  std::size_t setting = 0, members = 0, bytes = 0;
  for (int a = 0; a < settings.arm_size(); ++a) {
    const proto::Arm& arm = settings.arm(a);
    std::vector<proto::Axis> axes(arm.axis().begin(), arm.axis().end());
    axes.insert(axes.end(), settings.axis().begin(), settings.axis().end());
    // Before they are made: a few long axes would fill the memory.
    const std::size_t n = count_settings(axes, settings.random()) * settings.seeds();
    members += n;
    bytes += n * member_bytes(common, arm, axes, sweep.axes.size());
    if (members > sweep_members_max)
      throw UserError(where + ": more than " + std::to_string(sweep_members_max) +
                      " members, expected fewer");
    if (bytes > sweep_bytes_max)
      throw UserError(where + ": the settings of all members would take " + std::to_string(bytes) +
                      " bytes, expected at most " + std::to_string(sweep_bytes_max));
    const std::vector<Values> combinations =
        settings.random() > 0 ? draws(axes, static_cast<std::uint32_t>(a), settings.random())
                              : grid(axes);
    for (const Values& values : combinations) {
      for (std::uint32_t i = 0; i < settings.seeds(); ++i) {
        SweepMember member{setting, arm.name(), std::vector<std::string>(sweep.axes.size()),
                           base.seed + i, common};
        member.sets.insert(member.sets.end(), arm.set().begin(), arm.set().end());
        for (const auto& [path, value] : values) {
          member.sets.push_back(path + "=" + value);
          const auto at = std::find(sweep.axes.begin(), sweep.axes.end(), path);
          member.values[static_cast<std::size_t>(at - sweep.axes.begin())] = value;
        }
        member.sets.insert(member.sets.end(), validation.begin(), validation.end());
        member.sets.push_back("seed=" + std::to_string(member.seed));
        sweep.members.push_back(std::move(member));
      }
      ++setting;
    }
  }
  return sweep;
}

std::string to_line(const SweepResult& result) {
  char numbers[256];
  std::snprintf(numbers, sizeof numbers, "%s %zu %.17g %.17g %.17g %.17g %s ", word(result.status),
                result.epochs, result.train_loss, result.train_accuracy, result.test_loss,
                result.test_accuracy,
                result.state_sha256.empty() ? "-" : result.state_sha256.c_str());
  return numbers + one_line(result.message) + "\n";
}

std::optional<SweepResult> from_line(const std::string& line) {
  std::istringstream stream{line};
  std::string status;
  SweepResult result{};
  if (!(stream >> status >> result.epochs)) return std::nullopt;
  for (double* value :
       {&result.train_loss, &result.train_accuracy, &result.test_loss, &result.test_accuracy}) {
    std::string word;  // may be nan, which a stream does not read as a number
    if (!(stream >> word)) return std::nullopt;
    char* end = nullptr;
    *value = std::strtod(word.c_str(), &end);
    if (end != word.c_str() + word.size()) return std::nullopt;
  }
  if (!(stream >> result.state_sha256)) return std::nullopt;
  if (result.state_sha256 == "-")
    result.state_sha256.clear();
  else if (result.state_sha256.size() != 64 ||
           result.state_sha256.find_first_not_of("0123456789abcdef") != std::string::npos)
    return std::nullopt;
  std::getline(stream >> std::ws, result.message);
  result.message = one_line(result.message);
  for (const auto known :
       {SweepResult::Status::done, SweepResult::Status::diverged, SweepResult::Status::failed})
    if (status == word(known)) {
      result.status = known;
      return result;
    }
  return std::nullopt;
}

std::string sweep_csv(const Sweep& sweep, const SweepResults& results) {
  std::ostringstream out;
  out << "# lateral " << version() << ", sweep " << sweep.name << "\n";
  out << "member,arm";
  for (const std::string& axis : sweep.axes) out << "," << axis;
  out << ",seed,status,epochs,train_loss,train_accuracy,test_loss,test_accuracy,state_sha256\n";
  for (std::size_t i = 0; i < sweep.members.size(); ++i) {
    const SweepMember& member = sweep.members[i];
    out << i << "," << quoted(member.arm);
    for (const std::string& value : member.values) out << "," << quoted(value);
    out << "," << member.seed << ",";
    if (!results[i]) {
      out << "missing,,,,,,\n";
      continue;
    }
    const SweepResult& result = *results[i];
    out << word(result.status) << "," << result.epochs;
    for (const double value :
         {result.train_loss, result.train_accuracy, result.test_loss, result.test_accuracy}) {
      out << ",";
      if (result.epochs > 0) out << number_text(value);
    }
    out << "," << result.state_sha256 << "\n";
  }
  return out.str();
}

std::string sweep_table(const Sweep& sweep, const SweepResults& results) {
  struct Row {
    std::string arm, text;
    std::vector<double> values;
    int members = 0, diverged = 0, failed = 0;
    double mean() const {
      double sum = 0;
      for (const double value : values) sum += value;
      return sum / static_cast<double>(values.size());
    }
  };
  std::vector<Row> rows;
  for (std::size_t i = 0; i < sweep.members.size(); ++i) {
    const SweepMember& member = sweep.members[i];
    if (member.setting >= rows.size())
      rows.push_back({member.arm, setting_text(sweep, member), {}, 0, 0, 0});
    Row& row = rows[member.setting];
    ++row.members;
    if (!results[i]) continue;
    if (results[i]->status == SweepResult::Status::done)
      row.values.push_back(metric_of(sweep, *results[i]));
    row.diverged += results[i]->status == SweepResult::Status::diverged;
    row.failed += results[i]->status == SweepResult::Status::failed;
  }
  // A setting of which some member did not end well counts after those of which all did.
  const auto better = [&](const Row& a, const Row& b) {
    const bool whole_a = static_cast<int>(a.values.size()) == a.members;
    const bool whole_b = static_cast<int>(b.values.size()) == b.members;
    if (whole_a != whole_b) return whole_a;
    if (a.values.empty() || b.values.empty()) return a.values.size() > b.values.size();
    return sweep.smaller_is_better ? a.mean() < b.mean() : a.mean() > b.mean();
  };
  std::stable_sort(rows.begin(), rows.end(), better);
  std::size_t width = 7;
  for (const Row& row : rows) width = std::max(width, row.text.size());
  std::ostringstream out;
  char line[256];
  out << "setting" << std::string(width - 7, ' ');
  std::snprintf(line, sizeof line, "  %14s  %9s  %9s  %s\n", sweep.metric.c_str(), "smallest",
                "largest", "seeds");
  out << line;
  for (const Row& row : rows) {
    out << row.text << std::string(width - row.text.size(), ' ');
    if (row.values.empty()) {
      std::snprintf(line, sizeof line, "  %14s  %9s  %9s  %d", "-", "-", "-", row.members);
    } else {
      const auto [low, high] = std::minmax_element(row.values.begin(), row.values.end());
      std::snprintf(line, sizeof line, "  %14.6g  %9.6g  %9.6g  %d", row.mean(), *low, *high,
                    row.members);
    }
    out << line;
    if (row.diverged > 0) out << ", " << row.diverged << " diverged";
    if (row.failed > 0) out << ", " << row.failed << " failed";
    out << "\n";
  }
  std::map<std::string, const Row*> best;  // by arm; rows come best first
  for (const Row& row : rows)
    if (!row.values.empty()) best.emplace(row.arm, &row);
  // What failed is still to come.
  const bool whole =
      std::none_of(rows.begin(), rows.end(), [](const Row& r) { return r.failed > 0; });
  const std::string so_far = whole ? "" : " so far";
  if (!best.empty()) out << "\nbest" << so_far << ": " << rows.front().text << "\n";
  if (best.size() > 1)
    for (const auto& [arm, row] : best)
      out << "best of " << arm << so_far << ": " << row->text << "\n";
  return out.str();
}

}  // namespace lateral
