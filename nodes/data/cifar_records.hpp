// The fixed-size records of the CIFAR binary files: labels, then one 32×32 colour image.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string_view>
#include <vector>

#include "nodes/data/dataset.hpp"

namespace lateral {

constexpr int cifar_channels = 3;
constexpr int cifar_side = 32;
constexpr std::size_t cifar_pixels = std::size_t{cifar_channels} * cifar_side * cifar_side;

/// The largest number of records in a file; the official files have 10000 or 50000.
constexpr std::size_t cifar_records_max = 200'000;

/// The labels at the head of a record, one byte each, as their numbers of classes.
/// The last one is the label to be learned: {10} for CIFAR-10, {20, 100} for CIFAR-100.
using CifarLabels = std::vector<int>;

/// Appends the records of one file to `images`. A pure function of the bytes; `file` only names
/// them in messages. Throws UserError; `images` is then unchanged.
void append_cifar_records(std::span<const std::uint8_t> bytes, std::string_view file,
                          const CifarLabels& labels, Samples& images,
                          std::size_t records_max = cifar_records_max);

/// Reads `file` and appends its records.
void append_cifar_file(const std::filesystem::path& file, const CifarLabels& labels,
                       Samples& images);

}  // namespace lateral
