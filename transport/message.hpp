// Message: what nodes exchange, a Protocol Buffers header and a block of numbers.
#pragma once

#include <cstddef>
#include <cstdlib>
#include <memory>
#include <new>
#include <span>

#include "proto/wire.pb.h"

namespace lateral {

/// An uninitialised, 64-byte aligned array of float32: the body of a message, filled in place by
/// the sender's arithmetic or by the receiver's socket, and not written to any more from then on:
/// copies share it.
class Block {
 public:
  Block() = default;
  explicit Block(std::size_t size)
      : data_{size == 0 ? nullptr
                        : static_cast<float*>(::operator new(size * sizeof(float), alignment)),
              [](float* data) { ::operator delete(data, alignment); }},
        size_{size} {}

  float* data() { return data_.get(); }
  const float* data() const { return data_.get(); }
  std::size_t size() const { return size_; }
  std::size_t bytes() const { return size_ * sizeof(float); }
  std::span<const float> values() const { return {data(), size_}; }

 private:
  static constexpr std::align_val_t alignment{64};
  std::shared_ptr<float> data_;
  std::size_t size_ = 0;
};

/// header.shape() multiplies to body.size(); an empty shape means no body.
struct Message {
  wire::Header header;
  Block body;
};

}  // namespace lateral
