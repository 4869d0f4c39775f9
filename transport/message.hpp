// Message: what nodes exchange, a Protocol Buffers header and a block of numbers.
#pragma once

#include <cstddef>
#include <memory>
#include <span>

#include "proto/wire.pb.h"

namespace lateral {

/// An uninitialised, 64-byte aligned array of float32: the body of a message. It is filled in
/// place, by the sender's arithmetic or from the receiver's socket, and constant from then on:
/// copies share it.
class Block {
 public:
  Block() = default;
  explicit Block(std::size_t size) : size_{size} {
    if (size == 0) return;
    // One plain allocation instead of an aligned one and a counter: glibc before 2.38 does not
    // reuse aligned ones for a block of the same size, and the memory of a process grows without
    // bound.
    std::size_t room = size * sizeof(float) + alignment - 1;
    const auto memory = std::make_shared_for_overwrite<std::byte[]>(room);
    void* at = memory.get();
    data_ = {memory, static_cast<float*>(std::align(alignment, size * sizeof(float), at, room))};
  }

  float* data() { return data_.get(); }
  const float* data() const { return data_.get(); }
  std::size_t size() const { return size_; }
  std::size_t bytes() const { return size_ * sizeof(float); }
  std::span<const float> values() const { return {data(), size_}; }
  /// `size` values from `first` on, in the same memory.  REQUIRES: first + size <= size()
  Block slice(std::size_t first, std::size_t size) const {
    Block part;
    part.data_ = {data_, data_.get() + first};
    part.size_ = size;
    return part;
  }

 private:
  static constexpr std::size_t alignment = 64;
  std::shared_ptr<float> data_;
  std::size_t size_ = 0;
};

/// header.shape() multiplies to body.size(); an empty shape means no body.
struct Message {
  wire::Header header;
  Block body;
};

}  // namespace lateral
