// The fixed-size records of the CIFAR binary files: labels, then one 32×32 colour image.
#include "nodes/data/cifar_records.hpp"

#include <string>

#include "core/check.hpp"
#include "nodes/data/files.hpp"

namespace lateral {

void append_cifar_records(std::span<const std::uint8_t> bytes, std::string_view file,
                          const CifarLabels& labels, Images& images, std::size_t records_max) {
  LATERAL_CHECK(!labels.empty());
  const std::size_t record_bytes = labels.size() + cifar_pixels;
  const std::size_t n_records = bytes.size() / record_bytes;
  if (bytes.empty())
    refuse_data(file, 0, "an empty file",
                "at least one record of " + std::to_string(record_bytes) + " bytes");
  if (bytes.size() % record_bytes != 0)
    refuse_data(file, bytes.size(),
                "the end of the file " + std::to_string(bytes.size() % record_bytes) +
                    " bytes into record " + std::to_string(n_records),
                "whole records of " + std::to_string(record_bytes) + " bytes (truncated)");
  if (n_records > records_max)
    refuse_data(file, records_max * record_bytes, std::to_string(n_records) + " records",
                "at most " + std::to_string(records_max));

  for (std::size_t record = 0; record < n_records; ++record)
    for (std::size_t l = 0; l < labels.size(); ++l) {
      const std::size_t offset = record * record_bytes + l;
      if (bytes[offset] >= labels[l])
        refuse_data(file, offset, "label " + std::to_string(bytes[offset]),
                    "0 to " + std::to_string(labels[l] - 1));
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
                       Images& images) {
  const std::size_t record_bytes = labels.size() + cifar_pixels;
  const std::vector<std::uint8_t> bytes =
      read_bytes(file, cifar_records_max * record_bytes,
                 "CIFAR records of " + std::to_string(record_bytes) + " bytes");
  append_cifar_records(bytes, file.string(), labels, images);
}

}  // namespace lateral
