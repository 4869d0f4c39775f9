// Writing and reading data.json.
#include "nodes/results/data_record.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "nodes/base/failure.hpp"
#include "nodes/base/file.hpp"

namespace lateral {
namespace {

constexpr std::size_t file_bytes_max = std::size_t{64} << 20U;

using Json = nlohmann::ordered_json;

/// Text of any bytes in JSON, which is UTF-8.
std::string dump(const Json& json) {
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace

std::string to_json(const DataRecord& record, const Experiment& experiment) {
  const DataDescription& data = experiment.data_description;
  Json json;
  json["format"] = experiment.data_format;
  if (!experiment.data.files.train.empty()) json["train"] = experiment.data.files.train;
  if (!experiment.data.files.test.empty()) json["test"] = experiment.data.files.test;
  json["sha256"] = record.sha256;
  json["shape"] = {data.shape.channels, data.shape.height, data.shape.width};
  if (!data.class_names.empty()) json["classes"] = data.class_names;
  if (data.shape.target_values > 0) json["target_values"] = data.shape.target_values;
  json["normalization"] = {{"mean", record.mean},
                           {"standard_deviation", record.standard_deviation}};
  return dump(json);
}

std::optional<DataRecord> read_data_record(const std::filesystem::path& file) {
  std::error_code failure;
  if (!std::filesystem::exists(file, failure)) return std::nullopt;
  try {
    const Json json = Json::parse(read_file(file, file_bytes_max, "data.json of a run"));
    DataRecord record;
    json.at("sha256").get_to(record.sha256);
    json.at("normalization").at("mean").get_to(record.mean);
    json.at("normalization").at("standard_deviation").get_to(record.standard_deviation);
    return record;
  } catch (const Json::exception& error) {
    throw UserError(fmt::format("{}: damaged ({}), expected the record that the run wrote",
                                file.string(), one_line(error.what())));
  }
}

}  // namespace lateral
