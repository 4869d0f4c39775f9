// The settings of runs field by field, and their summaries.
#include "nodes/results/compare.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "nodes/base/failure.hpp"
#include "nodes/base/file.hpp"
#include "nodes/experiment/settings.hpp"
#include "nodes/results/run_directory.hpp"
#include "nodes/results/run_groups.hpp"

namespace lateral {
namespace {

namespace fs = std::filesystem;
namespace pb = google::protobuf;
using Json = nlohmann::json;
using FieldValues = std::map<std::string, std::string>;  // by path

FieldValues flatten(const pb::Message& message);

/// Value `index` of a field that is not a message; index -1: of a field that is not repeated.
std::string value_text(const pb::Message& message, const pb::FieldDescriptor* field, int index) {
  const pb::Reflection& reflection = *message.GetReflection();
  if (field->cpp_type() == pb::FieldDescriptor::CPPTYPE_STRING)
    return index < 0 ? reflection.GetString(message, field)
                     : reflection.GetRepeatedString(message, field, index);
  std::string text;
  pb::TextFormat::PrintFieldValueToString(message, field, index, &text);
  return text;
}

/// A repeated field: messages by their names, or by their positions if they have none; other values
/// in one text.
void flatten_repeated(const pb::Message& message, const pb::FieldDescriptor* field,
                      FieldValues& out) {
  const pb::Reflection& reflection = *message.GetReflection();
  for (int k = 0; k < reflection.FieldSize(message, field); ++k) {
    if (field->cpp_type() != pb::FieldDescriptor::CPPTYPE_MESSAGE) {
      std::string& text = out[field->name()];
      text += fmt::format("{}{}", k > 0 ? ", " : "", value_text(message, field, k));
      continue;
    }
    FieldValues inner = flatten(reflection.GetRepeatedMessage(message, field, k));
    const auto named = inner.extract("name");
    const std::string name = named ? named.mapped() : fmt::to_string(k);
    for (const auto& [path, value] : inner)
      out[fmt::format("{}.{}{}", field->name(), name, path == "value" ? "" : "." + path)] = value;
  }
}

/// Every field that is set, by its path as --set has it.
FieldValues flatten(const pb::Message& message) {
  const pb::Reflection& reflection = *message.GetReflection();
  const pb::Descriptor& descriptor = *message.GetDescriptor();
  FieldValues out;
  for (int i = 0; i < descriptor.field_count(); ++i) {
    const pb::FieldDescriptor* field = descriptor.field(i);
    if (field->is_repeated()) {
      flatten_repeated(message, field, out);
    } else if (field->cpp_type() == pb::FieldDescriptor::CPPTYPE_MESSAGE) {
      for (const auto& [path, value] : flatten(reflection.GetMessage(message, field)))
        out[field->name() + "." + path] = value;
    } else if (reflection.HasField(message, field)) {
      out[field->name()] = value_text(message, field, -1);
    }
  }
  return out;
}

struct Run {
  FieldValues settings;
  Json summary;
};

Run read_run(const fs::path& folder) {
  constexpr std::size_t bytes_max = std::size_t{64} << 20;
  const RunFiles files{folder};
  const fs::path settings = files.experiment(), summary = files.summary();
  proto::Experiment experiment;
  parse_text(read_file(settings, bytes_max, "experiment of a run"), settings.string(), experiment);
  Run run{flatten(experiment),
          Json::parse(read_file(summary, bytes_max, "summary of a run that has ended"), nullptr,
                      false)};
  if (run.summary.is_discarded())
    throw UserError(fmt::format("{}: damaged, expected JSON", summary.string()));
  return run;
}

/// The member of an object; null if there is none. Any JSON value may be in the file.
const Json& member(const Json& object, const char* name) {
  static const Json null;
  const auto found = object.find(name);
  return found == object.end() ? null : *found;
}

/// What is compared: a run, or runs that differ only in their seeds.
struct Column {
  std::string title;
  std::vector<Run> runs;
};

std::string text_of(const Json& value) {
  if (value.is_null()) return "-";
  if (value.is_string()) return one_line(value.get_ref<const std::string&>());
  if (value.is_structured()) return "?";
  if (!value.is_number_float()) return value.dump();
  return fmt::format("{:.6g}", value.get<double>());
}

/// A value of every run of a column: the value if they all have the same, otherwise of numbers
/// their mean and extremes.
template <class GetValue>
std::string cell(const Column& column, const GetValue& value_of) {
  std::vector<Json> values;
  for (const Run& run : column.runs) values.push_back(value_of(run.summary));
  const bool are_equal = std::all_of(values.begin(), values.end(),
                                     [&](const Json& value) { return value == values.front(); });
  if (are_equal) return text_of(values.front());
  double sum = 0, low = std::numeric_limits<double>::infinity(), high = -low;
  for (const Json& value : values) {
    if (!value.is_number()) return "differ";
    sum += value.get<double>();
    low = std::min(low, value.get<double>());
    high = std::max(high, value.get<double>());
  }
  return fmt::format("{:.5g} ({:.5g} to {:.5g})", sum / static_cast<double>(values.size()), low,
                     high);
}

Json sum_over_nodes(const Json& summary, const char* name) {
  double sum = 0;
  for (const Json& node : member(summary, "nodes"))
    if (const Json& value = member(node, name); value.is_number()) sum += value.get<double>();
  return sum;
}

/// Rows of a name and a cell for each column; all columns are as wide as their widest cell.
class Table {
 public:
  void add(std::string name, std::vector<std::string> cells) {
    rows_.emplace_back(std::move(name), std::move(cells));
  }
  void add_line(std::string text) {
    rows_.emplace_back(std::move(text), std::vector<std::string>{});
  }
  std::string text() const {
    constexpr std::size_t name_width = 42, width_min = 20, cell_max = 64;
    std::vector<std::size_t> widths;
    for (const auto& [name, cells] : rows_)
      for (std::size_t c = 0; c < cells.size(); ++c) {
        if (c == widths.size()) widths.push_back(width_min);
        widths[c] = std::max(widths[c], std::min(cells[c].size(), cell_max));
      }
    std::string all;
    for (const auto& [name, cells] : rows_) {
      all += cells.empty() ? name : fmt::format("{:<{}}", name, name_width);
      for (std::size_t c = 0; c < cells.size(); ++c)
        all += fmt::format("  {:>{}.{}}", cells[c], widths[c], cell_max);
      all += "\n";
    }
    return all;
  }

 private:
  std::vector<std::pair<std::string, std::vector<std::string>>> rows_;
};

void add_differing_settings(const std::vector<Column>& columns, Table& table) {
  std::set<std::string> paths;
  for (const Column& column : columns)
    for (const auto& [path, value] : column.runs.front().settings) paths.insert(path);
  bool has_rows = false;
  for (const std::string& path : paths) {
    std::vector<std::string> values;
    for (const Column& column : columns) {
      const FieldValues& settings = column.runs.front().settings;
      const auto found = settings.find(path);
      const bool is_varied = path == "seed" && column.runs.size() > 1;
      values.push_back(is_varied                 ? fmt::format("{} seeds", column.runs.size())
                       : found == settings.end() ? "-"
                                                 : found->second);
    }
    if (std::all_of(values.begin(), values.end(),
                    [&](const std::string& value) { return value == values.front(); }))
      continue;
    table.add(path, values);
    has_rows = true;
  }
  if (!has_rows) table.add_line("the same settings");
}

/// Mean of a final value over the runs of a column; not a number if one lacks it.
double mean_final(const Column& column, const char* name) {
  double sum = 0;
  for (const Run& run : column.runs) {
    const Json& value = member(member(run.summary, "final"), name);
    if (!value.is_number()) return std::numeric_limits<double>::quiet_NaN();
    sum += value.get<double>();
  }
  return sum / static_cast<double>(column.runs.size());
}

/// The name of a final value, with what was evaluated.
std::string final_name(const std::string& name, const std::vector<Column>& columns) {
  const auto is_validation = [](const Column& column) {
    return member(column.runs.front().summary, "evaluated_on") == "validation";
  };
  if (!name.starts_with("test_") || std::none_of(columns.begin(), columns.end(), is_validation))
    return "final " + name;
  const bool all = std::all_of(columns.begin(), columns.end(), is_validation);
  return fmt::format("final {}{}", all ? "validation" : "test or validation", name.substr(4));
}

std::string state_sentence(const std::vector<Column>& columns) {
  const std::string first = text_of(member(columns.front().runs.front().summary, "state_sha256"));
  for (const Column& column : columns)
    for (const Run& run : column.runs)
      if (text_of(member(run.summary, "state_sha256")) != first)
        return "\nthe learned states differ\n";
  return "\nthe learned states are the same, bit for bit\n";
}

constexpr std::size_t columns_max = 64;

/// The runs, and those below a folder of runs; of the latter those that differ only in their seeds
/// are one column.
std::vector<Column> read_columns(const std::vector<fs::path>& folders) {
  std::vector<Column> columns;
  for (const fs::path& folder : folders) {
    const std::vector<RunFiles> below =
        is_run(RunFiles{folder}) ? std::vector<RunFiles>{} : runs_below(folder);
    if (below.empty()) {
      columns.push_back({folder_name(folder), {read_run(folder)}});
      continue;
    }
    for (const RunGroup& group : group_by_settings(below)) {
      Column column{group.title, {}};
      for (const RunFiles& run : group.runs) column.runs.push_back(read_run(run.path()));
      columns.push_back(std::move(column));
    }
  }
  if (columns.size() < 2 || columns.size() > columns_max)
    throw UserError(
        fmt::format("{} to compare, expected 2 to {} runs, or folders of runs that "
                    "differ in more than their seeds",
                    columns.size(), columns_max));
  return columns;
}

}  // namespace

std::string compare_runs(const std::vector<fs::path>& folders) {
  const std::vector<Column> columns = read_columns(folders);
  const auto cells = [&](const auto& value_of) {
    std::vector<std::string> texts;
    for (const Column& column : columns) texts.push_back(cell(column, value_of));
    return texts;
  };
  std::vector<std::string> titles;
  for (const Column& column : columns) titles.push_back(column.title);
  Table table;
  table.add("", titles);
  add_differing_settings(columns, table);
  table.add_line("");
  const auto add_members = [&](std::initializer_list<const char*> names) {
    for (const char* name : names)
      table.add(name, cells([&](const Json& summary) { return member(summary, name); }));
  };
  add_members({"version", "complete", "epochs", "steps"});
  for (const char* name : {"train_loss", "train_accuracy", "test_loss", "test_accuracy"}) {
    table.add(final_name(name, columns),
              cells([&](const Json& summary) { return member(member(summary, "final"), name); }));
    std::vector<std::string> differences{""};
    const double first = mean_final(columns.front(), name);
    for (std::size_t c = 1; c < columns.size(); ++c)
      differences.push_back(fmt::format("{:+.4g}", mean_final(columns[c], name) - first));
    if (!std::isnan(first)) table.add("  difference to the first", differences);
  }
  add_members({"train_samples_per_second", "wall_seconds"});
  for (const char* name : {"cpu_seconds", "messages_sent", "bytes_sent"})
    table.add(fmt::format("{} of all nodes", name),
              cells([&](const Json& summary) { return sum_over_nodes(summary, name); }));
  return table.text() + state_sentence(columns);
}

}  // namespace lateral
