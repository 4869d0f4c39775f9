// The model of the processor, and the record of it.
#include "nodes/results/machine_record.hpp"

#include <fmt/format.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "nodes/base/failure.hpp"
#include "nodes/base/file.hpp"

namespace lateral {
namespace {

constexpr std::size_t record_file_bytes_max = 65536;

using Json = nlohmann::ordered_json;

std::string processor_model() {
  std::ifstream stream{"/proc/cpuinfo"};
  for (std::string line; std::getline(stream, line);) {
    const std::size_t colon = line.find(':');
    if (line.starts_with("model name") && colon != std::string::npos && colon + 2 <= line.size())
      return line.substr(colon + 2);
  }
  return "";
}

}  // namespace

bool differ(const MachineRecord& a, const MachineRecord& b) {
  const bool are_known = !a.processor.empty() && !b.processor.empty();
  return a.product != b.product || (are_known && a.processor != b.processor);
}

MachineRecord this_machine(const Experiment& experiment) {
  return {processor_model(), experiment.compute.product()->description()};
}

std::string to_json(const MachineRecord& record) {
  return Json{{"processor", record.processor}, {"product", record.product}}.dump(
             2, ' ', false, Json::error_handler_t::replace) +
         "\n";
}

std::optional<MachineRecord> read_machine_record(const std::filesystem::path& file) {
  std::error_code failure;
  if (!std::filesystem::exists(file, failure)) return std::nullopt;
  try {
    const Json json = Json::parse(read_file(file, record_file_bytes_max, "machine.json of a run"));
    return MachineRecord{json.at("processor"), json.at("product")};
  } catch (const Json::exception& error) {
    throw UserError(fmt::format("{}: damaged ({}), expected the record that the run wrote",
                                file.string(), one_line(error.what())));
  }
}

std::string describe(const MachineRecord& record) {
  return one_line(record.processor + ", " + record.product);
}

}  // namespace lateral
