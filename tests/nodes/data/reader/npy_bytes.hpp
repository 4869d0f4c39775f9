// NPY files and ZIP archives made byte by byte, for the tests of their readers.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace lateral::testing {

/// An NPY file of version 1.0.
inline std::vector<std::uint8_t> npy_bytes(const std::string& header,
                                           const std::vector<std::uint8_t>& values) {
  std::vector<std::uint8_t> bytes{0x93, 'N', 'U', 'M', 'P', 'Y', 1, 0};
  bytes.push_back(static_cast<std::uint8_t>(header.size() & 0xFFU));
  bytes.push_back(static_cast<std::uint8_t>(header.size() >> 8U));
  bytes.insert(bytes.end(), header.begin(), header.end());
  bytes.insert(bytes.end(), values.begin(), values.end());
  return bytes;
}

}  // namespace lateral::testing
