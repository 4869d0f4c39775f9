// The fixed-size records of the CIFAR binary files: labels, then one 32×32 colour image.
#include "nodes/data/cifar_records.hpp"

#include <fmt/format.h>

#include "core/check.hpp"
#include "nodes/data/files.hpp"

namespace lateral {

void append_cifar_records(std::span<const std::uint8_t> bytes, std::string_view file,
                          const CifarLabels& labels, Samples& images, std::size_t records_max) {
  LATERAL_CHECK(!labels.empty());
  const std::size_t record_bytes = labels.size() + cifar_pixels;
  const std::size_t n_records = bytes.size() / record_bytes;
  if (bytes.empty())
    refuse_data(file, 0, "an empty file",
                fmt::format("at least one record of {} bytes", record_bytes));
  if (bytes.size() % record_bytes != 0)
    refuse_data(file, bytes.size(),
                fmt::format("the end of the file {} bytes into record {}",
                            bytes.size() % record_bytes, n_records),
                fmt::format("whole records of {} bytes (truncated)", record_bytes));
  if (n_records > records_max)
    refuse_data(file, records_max * record_bytes, fmt::format("{} records", n_records),
                fmt::format("at most {}", records_max));

  for (std::size_t record = 0; record < n_records; ++record)
    for (std::size_t l = 0; l < labels.size(); ++l) {
      const std::size_t offset = record * record_bytes + l;
      if (bytes[offset] >= labels[l])
        refuse_data(file, offset, fmt::format("label {}", bytes[offset]),
                    fmt::format("0 to {}", labels[l] - 1));
    }

  images.labels.reserve(images.labels.size() + n_records);
  images.pixels.reserve(images.pixels.size() + n_records * cifar_pixels);
  for (std::size_t record = 0; record < n_records; ++record) {
    const auto bytes_of_record = bytes.subspan(record * record_bytes, record_bytes);
    const auto pixels = bytes_of_record.subspan(labels.size());
    images.labels.push_back(bytes_of_record[labels.size() - 1]);
    images.pixels.insert(images.pixels.end(), pixels.begin(), pixels.end());
  }
}

void append_cifar_file(const std::filesystem::path& file, const CifarLabels& labels,
                       Samples& images) {
  const std::size_t record_bytes = labels.size() + cifar_pixels;
  const std::vector<std::uint8_t> bytes =
      read_data_file(file, cifar_records_max * record_bytes,
                     fmt::format("CIFAR records of {} bytes", record_bytes));
  append_cifar_records(bytes, file.string(), labels, images);
}

}  // namespace lateral
