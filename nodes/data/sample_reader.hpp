// SampleReader: the values of samples of one part of a data set, as they are stored.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "nodes/data/dataset.hpp"
#include "nodes/data/sample_order.hpp"

namespace lateral {

/// Reads the rows of `array` in any order; successive rows, also with small gaps between them, are
/// read together.  Throws UserError as SampleArray::read().
///   out: rows.size() · array.row_values() numbers, in the order of `rows`
void read_rows(const SampleArray& array, std::span<const std::uint32_t> rows, float* out);

/// Holds an array in memory: bytes where the file has unsigned bytes, otherwise float32.
std::shared_ptr<const SampleArray> read_into_memory(const SampleArray& array);

/// Reads samples one after another. With a buffer, the samples of two windows of an order are kept
/// in memory, and others are read from the array when they are needed.
/// One thread at a time.
class SampleReader {
 public:
  /// `samples` must outlive it and have an array.  buffer_samples 0: the array is in memory.
  SampleReader(const Samples& samples, std::size_t buffer_samples);

  /// The values of the sample at place `place` of `order`; valid until the next call.
  ///   order_id: differs between orders
  const float* read(const Positions& order, std::uint64_t order_id, std::size_t place);

 private:
  struct Window {
    std::uint64_t order_id = 0;
    std::size_t number = 0;
    bool is_filled = false;
    std::vector<float> values;
  };
  void fill(Window& window, const Positions& order);

  const Samples& samples_;
  std::size_t window_samples_;  // 0: none
  std::size_t row_values_;
  std::array<Window, 2> windows_;  // the one used last is first
  std::vector<float> sample_;      // without windows
};

}  // namespace lateral
