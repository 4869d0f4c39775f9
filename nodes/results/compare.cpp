// Two effective configurations field by field, and two summaries.
#include "nodes/results/compare.hpp"

#include <cstdio>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "nodes/base/failure.hpp"
#include "nodes/base/file.hpp"
#include "nodes/experiment/settings.hpp"

namespace lateral {
namespace {

namespace fs = std::filesystem;
namespace pb = google::protobuf;

std::string read_file(const fs::path& path) {
  constexpr std::size_t bytes_max = std::size_t{64} << 20;
  return lateral::read_file(path, bytes_max, "file, expected the folder of a run that has ended");
}

/// Path of every field, as --set has it, to its value. Elements of a list go by their names.
void flatten(const pb::Message& message, const std::string& prefix,
             std::map<std::string, std::string>& out) {
  const pb::Reflection& reflection = *message.GetReflection();
  const pb::Descriptor& descriptor = *message.GetDescriptor();
  for (int i = 0; i < descriptor.field_count(); ++i) {
    const pb::FieldDescriptor* field = descriptor.field(i);
    const std::string path = prefix + field->name();
    if (field->is_repeated()) {
      for (int k = 0; k < reflection.FieldSize(message, field); ++k) {
        const pb::Message& element = reflection.GetRepeatedMessage(message, field, k);
        std::map<std::string, std::string> inner;
        flatten(element, "", inner);
        std::string name = std::to_string(k);
        if (const auto named = inner.find("name"); named != inner.end()) {
          name = named->second;
          inner.erase(named);
        }
        for (const auto& [word, value] : inner)
          out[path + "." + name + (word == "value" ? "" : "." + word)] = value;
      }
    } else if (field->cpp_type() == pb::FieldDescriptor::CPPTYPE_MESSAGE) {
      flatten(reflection.GetMessage(message, field), path + ".", out);
    } else if (field->cpp_type() == pb::FieldDescriptor::CPPTYPE_STRING) {
      if (reflection.HasField(message, field)) out[path] = reflection.GetString(message, field);
    } else if (reflection.HasField(message, field)) {
      std::string text;
      pb::TextFormat::PrintFieldValueToString(message, field, -1, &text);
      out[path] = text;
    }
  }
}

struct Run {
  std::map<std::string, std::string> settings;
  nlohmann::json summary;
};

Run read_run(const fs::path& folder) {
  Run run;
  proto::Experiment experiment;
  const fs::path settings = folder / "experiment.textproto";
  parse_text(read_file(settings), settings.string(), experiment);
  flatten(experiment, "", run.settings);
  run.summary = nlohmann::json::parse(read_file(folder / "summary.json"), nullptr, false);
  if (run.summary.is_discarded())
    throw UserError((folder / "summary.json").string() + ": damaged, expected JSON");
  return run;
}

/// Null where there is none. (What stands in the file may be anything.)
const nlohmann::json& field(const nlohmann::json& object, const char* name) {
  static const nlohmann::json none;
  const auto found = object.find(name);
  return found == object.end() ? none : *found;
}

std::string shown(const nlohmann::json& value) {
  if (value.is_null()) return "-";
  if (value.is_string()) return one_line(value.get_ref<const std::string&>());
  if (value.is_structured()) return "?";
  if (!value.is_number_float()) return value.dump();
  char text[32];
  std::snprintf(text, sizeof text, "%.6g", value.get<double>());
  return text;
}

double sum_over_nodes(const nlohmann::json& summary, const char* name) {
  double sum = 0;
  for (const nlohmann::json& node : field(summary, "nodes"))
    if (const nlohmann::json& value = field(node, name); value.is_number())
      sum += value.get<double>();
  return sum;
}

}  // namespace

std::string compare_runs(const fs::path& a, const fs::path& b) {
  const Run first = read_run(a), second = read_run(b);
  std::string table;
  const auto row = [&](const std::string& what, const std::string& x, const std::string& y) {
    char line[512];
    std::snprintf(line, sizeof line, "%-42s  %20.64s  %20.64s\n", what.c_str(), x.c_str(),
                  y.c_str());
    table += line;
  };
  row("", a.filename().string(), b.filename().string());
  std::set<std::string> paths;
  for (const Run* run : {&first, &second})
    for (const auto& [path, value] : run->settings) paths.insert(path);
  bool differ = false;
  const auto setting = [](const Run& run, const std::string& path) {
    const auto found = run.settings.find(path);
    return found == run.settings.end() ? std::string("-") : found->second;
  };
  for (const std::string& path : paths) {
    if (setting(first, path) == setting(second, path)) continue;
    row(path, setting(first, path), setting(second, path));
    differ = true;
  }
  if (!differ) table += "the same settings\n";
  table += "\n";
  for (const char* key : {"version", "complete", "epochs", "steps"})
    row(key, shown(field(first.summary, key)), shown(field(second.summary, key)));
  for (const char* key : {"train_loss", "train_accuracy", "test_loss", "test_accuracy"})
    row(std::string("final ") + key, shown(field(field(first.summary, "final"), key)),
        shown(field(field(second.summary, "final"), key)));
  for (const char* key : {"train_samples_per_second", "wall_seconds"})
    row(key, shown(field(first.summary, key)), shown(field(second.summary, key)));
  for (const char* key : {"cpu_seconds", "messages_sent", "bytes_sent"})
    row(std::string(key) + " of all nodes", shown(sum_over_nodes(first.summary, key)),
        shown(sum_over_nodes(second.summary, key)));
  const std::string state = shown(field(first.summary, "state_sha256"));
  table += state == shown(field(second.summary, "state_sha256"))
               ? "\nthe learned states are the same, bit for bit\n"
               : "\nthe learned states differ\n";
  return table;
}

}  // namespace lateral
