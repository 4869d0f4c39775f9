// SHA-256 over the samples of a data set.
#include "nodes/data/data_digest.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <bit>

#include "nodes/base/digest.hpp"
#include "nodes/data/sample_reader.hpp"

namespace lateral {
namespace {

static_assert(std::endian::native == std::endian::little, "float32 is digested as it is in memory");

constexpr std::size_t values_per_read = std::size_t{1} << 20U;

void add_values(const Samples& samples, Sha256& digest) {
  if (!samples.array) return digest.add(samples.pixels.data(), samples.pixels.size());
  const std::size_t row_values = samples.array->row_values();
  const std::size_t piece = std::max<std::size_t>(1, values_per_read / row_values);
  std::vector<float> values(piece * row_values);
  for (std::size_t first = 0; first < samples.rows.size(); first += piece) {
    const std::size_t count = std::min(piece, samples.rows.size() - first);
    read_rows(*samples.array, std::span(samples.rows).subspan(first, count), values.data());
    digest.add(values.data(), count * row_values * sizeof(float));
  }
}

void add_part(const Samples& samples, const ImageShape& shape,
              const std::vector<std::string>& class_names, Sha256& digest) {
  digest.add(fmt::format("{} samples of {}x{}x{}\n", samples.count(), shape.channels, shape.height,
                         shape.width));
  add_values(samples, digest);
  for (const std::uint32_t label : samples.labels)
    digest.add((label < class_names.size() ? class_names[label] : fmt::to_string(label)) + '\n');
  digest.add(samples.targets.data(), samples.targets.size() * sizeof(float));
}

}  // namespace

std::string digest_of(const DataSet& data, const std::vector<std::string>& class_names) {
  Sha256 digest;
  add_part(data.train, data.shape, class_names, digest);
  add_part(data.test, data.shape, class_names, digest);
  return digest.finish();
}

}  // namespace lateral
