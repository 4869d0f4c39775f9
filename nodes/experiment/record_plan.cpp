// Selections, shapes and sizes of what is recorded.
#include "nodes/experiment/record_plan.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <set>

#include "nodes/base/failure.hpp"
#include "nodes/base/name.hpp"
#include "nodes/experiment/experiment.hpp"
#include "nodes/experiment/settings.hpp"

namespace lateral {
namespace {

/// The tensor of this role that a layer keeps, if there is one.
std::optional<TensorSpec> tensor_of(const Experiment& experiment, const LayerSpec& layer,
                                    TensorRole role) {
  for (const TensorSpec& tensor : experiment.tensors(layer))
    if (tensor.role == role) return tensor;
  return std::nullopt;
}

/// Whether a layer has what is recorded, and how many units can be selected of it.
std::optional<Index> selectable_units(const Experiment& experiment, const LayerSpec& layer,
                                      Recorded what) {
  const auto find = [&](TensorRole role) { return tensor_of(experiment, layer, role); };
  switch (what) {
    case Recorded::input:
    case Recorded::decorrelated:
    case Recorded::correlation:
      return layer.params.inputs();
    case Recorded::activity:
      return layer.output.size();
    case Recorded::weight:
      if (const auto weight = find(TensorRole::weight)) return weight->shape[0];
      return std::nullopt;
    case Recorded::lateral:
      if (!find(TensorRole::lateral) && !find(TensorRole::feedforward)) return std::nullopt;
      return layer.params.inputs();
    case Recorded::settling:
      if (!find(TensorRole::lateral)) return std::nullopt;
      return layer.params.inputs();
  }
  throw std::logic_error("recorded");
}

std::vector<std::uint32_t> shape_of(const proto::Record& record, const Experiment& experiment,
                                    const LayerSpec& layer, std::size_t units) {
  const auto u = static_cast<std::uint32_t>(units);
  const auto b = static_cast<std::uint32_t>(experiment.batches.batch_size);
  const std::uint32_t samples = record.samples() == 0 ? b : std::min(record.samples(), b);
  switch (record.what()) {
    case proto::Recorded::input:
    case proto::Recorded::decorrelated:
    case proto::Recorded::activity:
      return {samples, u};
    case proto::Recorded::weight:
      return {u, static_cast<std::uint32_t>(
                     tensor_of(experiment, layer, TensorRole::weight)->shape[1])};
    case proto::Recorded::lateral:
      return {u, u};
    case proto::Recorded::correlation:
      return {2, u, u};
    case proto::Recorded::settling:
      return {record.settling_steps(), samples, u};
  }
  throw std::logic_error("recorded");
}

Recorded to_recorded(proto::Recorded::Kind kind) {
  switch (kind) {
    case proto::Recorded::input:
      return Recorded::input;
    case proto::Recorded::decorrelated:
      return Recorded::decorrelated;
    case proto::Recorded::activity:
      return Recorded::activity;
    case proto::Recorded::weight:
      return Recorded::weight;
    case proto::Recorded::lateral:
      return Recorded::lateral;
    case proto::Recorded::correlation:
      return Recorded::correlation;
    case proto::Recorded::settling:
      return Recorded::settling;
  }
  throw std::logic_error("recorded");
}

/// `selected` counts the units of all records.
Record read_record(const Settings& settings, const Experiment& experiment,
                   const proto::Record& from, std::size_t& selected) {
  const std::string path = "recording.record." + from.name();
  if (!is_name(from.name()))
    throw UserError(
        fmt::format("{}: a record is called '{}', expected a name of letters, digits, '_' and '-'",
                    settings.where_is(path), from.name()));
  if (!from.has_what())
    throw UserError(
        fmt::format("{}: record '{}' has no `what`, expected what: weight, or another of Recorded",
                    settings.where_is(path), from.name()));
  Record record;
  record.name = from.name();
  record.what = to_recorded(from.what());
  record.kind = proto::Recorded::Kind_Name(from.what());
  record.interval = from.interval();
  std::string names;
  bool known = false;
  for (const LayerSpec& layer : experiment.layers) {
    names += (names.empty() ? "" : ", ") + layer.name;
    if (!from.layer().empty() && layer.name != from.layer()) continue;
    known = true;
    const std::optional<Index> selectable = selectable_units(experiment, layer, record.what);
    if (!selectable) continue;
    const std::vector<Index> units =
        parse_units(from.units(), *selectable,
                    fmt::format("{}: {}.units of layer '{}'", settings.where_is(path + ".units"),
                                path, layer.name));
    record.layers.push_back({layer.name, units, shape_of(from, experiment, layer, units.size())});
    selected += units.size();
    if (selected > recorded_units_max)
      throw UserError(fmt::format(
          "{}: the records up to '{}' select more than {} units, expected fewer layers or units",
          settings.where_is(path), from.name(), recorded_units_max));
  }
  if (!known)
    throw UserError(fmt::format("{}: {}.layer is '{}', expected one of {}",
                                settings.where_is(path + ".layer"), path, from.layer(), names));
  if (record.layers.empty())
    throw UserError(fmt::format("{}: {}.what is {}, which none of its layers has; expected {}",
                                settings.where_is(path + ".what"), path, record.kind,
                                record.what == Recorded::settling ? "decorrelation.mode: settled"
                                : record.what == Recorded::lateral
                                    ? "a decorrelation.rule with a matrix R or M"
                                    : "a kind of layer with weights"));
  return record;
}

double layer_bytes(const Record& record, const Record::OfLayer& part, std::uint64_t rows) {
  // Upper bounds of what the HDF5 library adds to a chunk, and to the group of a layer with its two
  // data sets.
  constexpr double bytes_per_chunk = 256, bytes_per_layer = 16384;
  const std::vector<std::uint64_t> chunk = chunk_of(part.shape, rows);
  double chunks = 1, chunk_values = 1;
  for (std::size_t i = 0; i < chunk.size(); ++i) {
    const std::uint64_t extent = i == 0 ? rows : part.shape[i - 1];
    chunks *= static_cast<double>((extent + chunk[i] - 1) / chunk[i]);
    chunk_values *= static_cast<double>(chunk[i]);
  }
  const auto step_chunks = static_cast<double>((rows + step_chunk - 1) / step_chunk);
  return chunks * (chunk_values * sizeof(float) + bytes_per_chunk) +
         step_chunks * (step_chunk * sizeof(std::uint64_t) + bytes_per_chunk) + bytes_per_layer +
         static_cast<double>(part.units.size() * sizeof(std::uint32_t) + record.name.size());
}

double record_bytes(const Record& record, std::uint64_t steps) {
  double bytes = 0;
  for (const Record::OfLayer& part : record.layers)
    bytes += layer_bytes(record, part, record.rows(steps));
  return bytes;
}

std::string in_megabytes(double bytes) { return fmt::format("{:.1f} MB", bytes / 1e6); }

}  // namespace

std::optional<std::size_t> Record::sample_axis() const {
  switch (what) {
    case Recorded::input:
    case Recorded::decorrelated:
    case Recorded::activity:
      return 0;
    case Recorded::settling:
      return 1;
    case Recorded::weight:
    case Recorded::lateral:
    case Recorded::correlation:
      break;
  }
  return std::nullopt;
}

std::vector<Index> parse_units(std::string_view text, Index n, const std::string& where) {
  constexpr std::size_t digits_max = 9;
  const auto refuse = [&] {
    throw UserError(fmt::format(
        "{} is '{}', expected ascending numbers from 0 to {}, such as 0-9,20", where, text, n - 1));
  };
  std::vector<Index> units;
  if (text.empty()) {
    for (Index i = 0; i < n; ++i) units.push_back(i);
    return units;
  }
  std::size_t at = 0;
  const auto number = [&] {
    const std::size_t begin = at;
    Index value = 0;
    while (at < text.size() && text[at] >= '0' && text[at] <= '9' && at - begin < digits_max)
      value = 10 * value + (text[at++] - '0');
    if (at == begin) refuse();
    return value;
  };
  for (;;) {
    const Index first = number();
    Index last = first;
    if (at < text.size() && text[at] == '-') {
      ++at;
      last = number();
    }
    if (last < first || last >= n || (!units.empty() && first <= units.back())) refuse();
    for (Index i = first; i <= last; ++i) units.push_back(i);
    if (at == text.size()) return units;
    if (text[at++] != ',') refuse();
  }
}

std::vector<Record> read_records(const Settings& settings, const Experiment& experiment) {
  const proto::Recording& recording = settings.values().recording();
  if (recording.record_size() > records_max)
    throw UserError(fmt::format("{}: {} records, expected at most {}",
                                settings.where_is("recording.record"), recording.record_size(),
                                records_max));
  std::vector<Record> records;
  std::size_t selected = 0;
  std::set<std::string> names;
  for (const proto::Record& record : recording.record()) {
    records.push_back(read_record(settings, experiment, record, selected));
    if (!names.insert(record.name()).second)
      throw UserError(fmt::format("{}: the record name '{}' is taken, expected one of its own",
                                  settings.where_is("recording.record." + record.name()),
                                  record.name()));
  }
  return records;
}

std::vector<std::uint64_t> chunk_of(const std::vector<std::uint32_t>& shape, std::uint64_t rows) {
  // A row is written by itself, and with it all chunks that it is part of: so chunks are small, but
  // not so small that there are very many of them.
  constexpr std::uint64_t chunk_values_max = 1 << 16, rows_values = 1 << 11;
  std::vector<std::uint64_t> chunk(shape.size() + 1);
  std::uint64_t values = 1;
  for (std::size_t i = shape.size(); i > 0; --i) {
    chunk[i] = std::clamp<std::uint64_t>(shape[i - 1], 1, chunk_values_max / values);
    values *= chunk[i];
  }
  chunk[0] = std::clamp<std::uint64_t>(rows, 1, std::max<std::uint64_t>(rows_values / values, 1));
  return chunk;
}

double recording_bytes(const std::vector<Record>& records, std::uint64_t steps) {
  if (records.empty()) return 0;
  double bytes = static_cast<double>(experiment_bytes_max);  // an attribute holds its text
  for (const Record& record : records) bytes += record_bytes(record, steps);
  return bytes;
}

std::size_t record_bytes_max(const std::vector<Record>& records) {
  std::size_t largest = 0;
  for (const Record& record : records)
    for (const Record::OfLayer& part : record.layers) {
      std::size_t bytes = sizeof(float);
      for (const std::uint32_t extent : part.shape) bytes *= extent;
      largest = std::max(largest, bytes);
    }
  return largest;
}

std::uint64_t train_steps_per_epoch_max(const Experiment& experiment) {
  const std::size_t samples = experiment.train_samples();
  const auto size = static_cast<std::size_t>(experiment.batches.batch_size);
  return (samples + size - 1) / size;
}

void check_recording_size(const Experiment& experiment, std::uint64_t steps_per_epoch,
                          const std::string& where) {
  const std::uint64_t steps = static_cast<std::uint64_t>(experiment.epochs) * steps_per_epoch;
  const double bytes = recording_bytes(experiment.records, steps);
  if (bytes <= experiment.recording_bytes_max) return;
  const auto largest = std::max_element(experiment.records.begin(), experiment.records.end(),
                                        [&](const Record& a, const Record& b) {
                                          return record_bytes(a, steps) < record_bytes(b, steps);
                                        });
  throw UserError(fmt::format(
      "{}: recording.h5 would take {}, of it record '{}' {}, expected at most "
      "recording.size_limit_mb, {}; a longer interval or fewer units, samples or settling_steps "
      "take less",
      where, in_megabytes(bytes), largest->name, in_megabytes(record_bytes(*largest, steps)),
      in_megabytes(experiment.recording_bytes_max)));
}

}  // namespace lateral
