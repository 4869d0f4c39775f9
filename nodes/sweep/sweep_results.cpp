// Results of a sweep as JSON, as CSV and as a table.
#include "nodes/sweep/sweep_results.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>

#include "nodes/base/csv.hpp"
#include "nodes/base/failure.hpp"
#include "nodes/base/version.hpp"

namespace lateral {
namespace {

using Json = nlohmann::ordered_json;
using Status = SweepResult::Status;

constexpr std::pair<Status, const char*> status_names[] = {
    {Status::done, "done"}, {Status::diverged, "diverged"}, {Status::failed, "failed"}};

const char* name_of(Status status) {
  for (const auto& [value, name] : status_names)
    if (value == status) return name;
  return "";
}

constexpr std::pair<const char*, double SweepResult::*> final_values[] = {
    {"train_loss", &SweepResult::train_loss},
    {"train_accuracy", &SweepResult::train_accuracy},
    {"test_loss", &SweepResult::test_loss},
    {"test_accuracy", &SweepResult::test_accuracy}};

/// Values that JSON cannot represent as numbers.
constexpr const char* non_finite[] = {"nan", "-nan", "inf", "-inf"};

Json to_json(double value) {
  return std::isfinite(value) ? Json(value) : Json(fmt::to_string(value));
}

std::string dump(const Json& json, int indent) {
  return json.dump(indent, ' ', false, Json::error_handler_t::replace);
}

/// Reads members of an object, and refuses invalid values.
struct ObjectReader {
  const Json& object;
  std::string where;

  [[noreturn]] void refuse(const char* name, const Json& value, const char* expected) const {
    constexpr std::size_t shown_max = 64;
    throw UserError(one_line(fmt::format("{}: {} is {}, expected {}", where, name,
                                         dump(value, -1).substr(0, shown_max), expected)));
  }
  const Json& member(const char* name) const {
    const auto found = object.find(name);
    if (found == object.end())
      throw UserError(fmt::format("{}: has no '{}', expected the result of a member", where, name));
    return *found;
  }
  std::uint64_t integer(const char* name) const {
    const Json& value = member(name);
    if (!value.is_number_unsigned()) refuse(name, value, "a whole number");
    return value.get<std::uint64_t>();
  }
  std::string text(const char* name) const {
    const Json& value = member(name);
    if (!value.is_string()) refuse(name, value, "text");
    return one_line(value.get<std::string>());
  }
  double number(const char* name) const {
    const Json& value = member(name);
    if (value.is_number()) return value.get<double>();
    const std::string word = value.is_string() ? value.get<std::string>() : "";
    if (std::find(std::begin(non_finite), std::end(non_finite), word) == std::end(non_finite))
      refuse(name, value, "a number, \"nan\", \"inf\" or \"-inf\"");
    double number = 0;
    std::from_chars(word.data(), word.data() + word.size(), number);
    return number;
  }
  std::string sha256(const char* name) const {
    const Json& value = member(name);
    const std::string digits = value.is_string() ? value.get<std::string>() : "";
    if (digits.size() != 64 || digits.find_first_not_of("0123456789abcdef") != std::string::npos)
      refuse(name, value, "64 hexadecimal digits");
    return digits;
  }
  Status status(const char* name) const {
    const Json& value = member(name);
    for (const auto& [status, word] : status_names)
      if (value == word) return status;
    refuse(name, value, "done, diverged or failed");
  }
};

double metric_of(const Sweep& sweep, const SweepResult& result) {
  for (const auto& [name, value] : final_values)
    if (sweep.metric == name) return result.*value;
  return result.test_accuracy;
}

/// The results of one setting.
struct TableRow {
  std::string arm, text;
  std::vector<double> values;  ///< the metric of each member that is done
  std::size_t members = 0, diverged = 0, failed = 0;
  double mean() const {
    double sum = 0;
    for (const double value : values) sum += value;
    return sum / static_cast<double>(values.size());
  }
  bool is_complete() const { return values.size() == members; }
};

std::vector<TableRow> table_rows(const Sweep& sweep, const SweepResults& results) {
  std::vector<TableRow> rows;
  for (std::size_t i = 0; i < sweep.members.size(); ++i) {
    const SweepMember& member = sweep.members[i];
    if (member.setting >= rows.size())
      rows.push_back({member.arm, setting_text(sweep, member), {}, 0, 0, 0});
    TableRow& row = rows[member.setting];
    ++row.members;
    if (!results[i]) continue;
    if (results[i]->status == Status::done) row.values.push_back(metric_of(sweep, *results[i]));
    row.diverged += results[i]->status == Status::diverged;
    row.failed += results[i]->status == Status::failed;
  }
  return rows;
}

}  // namespace

std::string to_json(const SweepResult& result) {
  Json json;
  json["format_version"] = sweep_result_format_version;
  json["lateral_version"] = version();
  json["configuration_sha256"] = result.configuration_sha256;
  json["status"] = name_of(result.status);
  json["message"] = one_line(result.message);
  json["epochs"] = result.epochs;
  json["final"] = nullptr;
  if (result.epochs > 0)
    for (const auto& [name, value] : final_values) json["final"][name] = to_json(result.*value);
  json["state_sha256"] = result.status == Status::done ? Json(result.state_sha256) : Json(nullptr);
  return dump(json, 2) + "\n";
}

SweepResult parse_sweep_result(const std::string& json, const std::string& where) {
  const Json object = Json::parse(json, nullptr, false);
  if (!object.is_object())
    throw UserError(fmt::format("{}: damaged, expected a JSON object", where));
  const ObjectReader reader{object, where};
  if (reader.integer("format_version") != sweep_result_format_version)
    reader.refuse("format_version", object["format_version"], "1");
  SweepResult result;
  result.status = reader.status("status");
  result.message = reader.text("message");
  result.configuration_sha256 = reader.sha256("configuration_sha256");
  result.epochs = reader.integer("epochs");
  if (result.epochs > 0) {
    if (!reader.member("final").is_object()) reader.refuse("final", object["final"], "an object");
    const ObjectReader final{object["final"], where};
    for (const auto& [name, value] : final_values) result.*value = final.number(name);
  }
  if (result.status == Status::done) result.state_sha256 = reader.sha256("state_sha256");
  return result;
}

std::string setting_text(const Sweep& sweep, const SweepMember& member) {
  std::string text = member.arm;
  for (std::size_t a = 0; a < sweep.axes.size(); ++a)
    if (!member.values[a].empty())
      text += fmt::format("{}{}={}", text.empty() ? "" : "  ", sweep.axes[a], member.values[a]);
  return text.empty() ? "(the experiment)" : text;
}

std::string sweep_csv(const Sweep& sweep, const SweepResults& results) {
  std::vector<std::string> header{"member", "arm"};
  header.insert(header.end(), sweep.axes.begin(), sweep.axes.end());
  header.insert(header.end(), {"seed", "status", "epochs"});
  for (const auto& [name, value] : final_values) header.push_back(name);
  header.push_back("state_sha256");
  std::string csv = csv_line(header);
  for (std::size_t i = 0; i < sweep.members.size(); ++i) {
    const SweepMember& member = sweep.members[i];
    std::vector<std::string> row{fmt::to_string(i), member.arm};
    row.insert(row.end(), member.values.begin(), member.values.end());
    row.push_back(fmt::to_string(member.seed));
    if (results[i]) {
      const SweepResult& result = *results[i];
      row.insert(row.end(), {name_of(result.status), fmt::to_string(result.epochs)});
      for (const auto& [name, value] : final_values)
        row.push_back(result.epochs > 0 ? fmt::format("{:.6g}", result.*value) : "");
      row.push_back(result.state_sha256);
    } else {
      row.push_back("missing");
    }
    row.resize(header.size());
    csv += csv_line(row);
  }
  return csv;
}

std::string sweep_table(const Sweep& sweep, const SweepResults& results) {
  std::vector<TableRow> rows = table_rows(sweep, results);
  // Incomplete settings come after complete ones.
  std::stable_sort(rows.begin(), rows.end(), [&](const TableRow& a, const TableRow& b) {
    if (a.is_complete() != b.is_complete()) return a.is_complete();
    if (a.values.empty() || b.values.empty()) return a.values.size() > b.values.size();
    return sweep.smaller_is_better ? a.mean() < b.mean() : a.mean() > b.mean();
  });
  std::size_t width = 7;
  for (const TableRow& row : rows) width = std::max(width, row.text.size());
  std::string table = fmt::format("{:<{}}  {:>14}  {:>9}  {:>9}  seeds\n", "setting", width,
                                  sweep.metric, "smallest", "largest");
  for (const TableRow& row : rows) {
    // Not padded by fmt, which counts characters, while the width is in bytes.
    table += row.text + std::string(width - row.text.size(), ' ');
    if (row.values.empty()) {
      table += fmt::format("  {:>14}  {:>9}  {:>9}  {}", "-", "-", "-", row.members);
    } else {
      const auto [low, high] = std::minmax_element(row.values.begin(), row.values.end());
      table +=
          fmt::format("  {:14.6g}  {:9.6g}  {:9.6g}  {}", row.mean(), *low, *high, row.members);
    }
    if (row.diverged > 0) table += fmt::format(", {} diverged", row.diverged);
    if (row.failed > 0) table += fmt::format(", {} failed", row.failed);
    table += "\n";
  }
  std::map<std::string, const TableRow*> best;  // by arm
  for (const TableRow& row : rows)
    if (!row.values.empty()) best.emplace(row.arm, &row);
  // Failed members are run again by --resume.
  const bool is_final =
      std::none_of(rows.begin(), rows.end(), [](const TableRow& row) { return row.failed > 0; });
  const char* const so_far = is_final ? "" : " so far";
  if (!best.empty()) table += fmt::format("\nbest{}: {}\n", so_far, rows.front().text);
  if (best.size() > 1)
    for (const auto& [arm, row] : best)
      table += fmt::format("best of {}{}: {}\n", arm, so_far, row->text);
  return table;
}

}  // namespace lateral
