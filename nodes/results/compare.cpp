// The settings of two runs field by field, and their summaries.
#include "nodes/results/compare.hpp"

#include <fmt/format.h>

#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "nodes/base/failure.hpp"
#include "nodes/base/file.hpp"
#include "nodes/experiment/settings.hpp"
#include "nodes/results/run_directory.hpp"

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

std::string text_of(const Json& value) {
  if (value.is_null()) return "-";
  if (value.is_string()) return one_line(value.get_ref<const std::string&>());
  if (value.is_structured()) return "?";
  if (!value.is_number_float()) return value.dump();
  return fmt::format("{:.6g}", value.get<double>());
}

std::string sum_over_nodes(const Json& summary, const char* name) {
  double sum = 0;
  for (const Json& node : member(summary, "nodes"))
    if (const Json& value = member(node, name); value.is_number()) sum += value.get<double>();
  return fmt::format("{:.6g}", sum);
}

std::string row(std::string_view name, std::string_view a, std::string_view b) {
  return fmt::format("{:<42}  {:>20.64}  {:>20.64}\n", name, a, b);
}

std::string differing_settings(const FieldValues& a, const FieldValues& b) {
  std::set<std::string> paths;
  for (const FieldValues* settings : {&a, &b})
    for (const auto& [path, value] : *settings) paths.insert(path);
  const auto value_at = [](const FieldValues& settings, const std::string& path) {
    const auto found = settings.find(path);
    return found == settings.end() ? std::string("-") : found->second;
  };
  std::string rows;
  for (const std::string& path : paths)
    if (value_at(a, path) != value_at(b, path))
      rows += row(path, value_at(a, path), value_at(b, path));
  return rows.empty() ? "the same settings\n" : rows;
}

}  // namespace

std::string compare_runs(const fs::path& a, const fs::path& b) {
  const Run first = read_run(a), second = read_run(b);
  std::string table = row("", a.filename().string(), b.filename().string());
  table += differing_settings(first.settings, second.settings) + "\n";
  const auto add_row = [&](const std::string& name, const auto& value_in) {
    table += row(name, value_in(first.summary), value_in(second.summary));
  };
  const auto add_members = [&](std::initializer_list<const char*> names) {
    for (const char* name : names)
      add_row(name, [&](const Json& summary) { return text_of(member(summary, name)); });
  };
  add_members({"version", "complete", "epochs", "steps"});
  for (const char* name : {"train_loss", "train_accuracy", "test_loss", "test_accuracy"})
    add_row(fmt::format("final {}", name),
            [&](const Json& summary) { return text_of(member(member(summary, "final"), name)); });
  add_members({"train_samples_per_second", "wall_seconds"});
  for (const char* name : {"cpu_seconds", "messages_sent", "bytes_sent"})
    add_row(fmt::format("{} of all nodes", name),
            [&](const Json& summary) { return sum_over_nodes(summary, name); });
  const bool have_equal_states = text_of(member(first.summary, "state_sha256")) ==
                                 text_of(member(second.summary, "state_sha256"));
  return table + (have_equal_states ? "\nthe learned states are the same, bit for bit\n"
                                    : "\nthe learned states differ\n");
}

}  // namespace lateral
