// Shared by the fuzz targets of arrays: reads all rows, and checks what holds for each array.
#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

#include "nodes/data/sample_array.hpp"
#include "tests/fuzz/fuzz.hpp"

namespace lateral::fuzz {

/// `values_max`: how many values the file may have.
inline void check_array(const SampleArray& array, std::size_t values_max) {
  check_property(array.samples() > 0 && array.row_values() > 0, "an array has values");
  const std::size_t values = array.samples() * array.row_values();
  check_property(values <= values_max, "the values fit into the file");
  std::vector<float> all(values);
  const bool is_read = accepts([&] { array.read(0, array.samples(), all.data()); });
  if (is_read) {
    for (const float value : all) check_property(std::isfinite(value), "values are finite");
    std::vector<float> last(array.row_values());
    array.read(array.samples() - 1, 1, last.data());
    check_property(std::equal(last.begin(), last.end(), all.end() - array.row_values()),
                   "a row read alone is the row read with others");
  }
  accepts([&] {
    check_property(array.read_labels(0, array.samples()).size() == array.samples(),
                   "a label for each sample");
  });
}

}  // namespace lateral::fuzz
