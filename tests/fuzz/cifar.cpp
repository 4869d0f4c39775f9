// Fuzz target: the record files of CIFAR-10 and CIFAR-100.
#include <algorithm>

#include "nodes/data/cifar_records.hpp"
#include "tests/fuzz/fuzz.hpp"

namespace lateral::fuzz {

std::vector<std::string> seeds() {
  using namespace std::string_literals;
  const std::string image(cifar_pixels, '\x7f');
  return {"a\x09"s + image, "a\0"s + image + "\x05" + image, "b\x13\x63"s + image};
}

}  // namespace lateral::fuzz

/// The first byte selects the format: 'b' for CIFAR-100.
int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace lateral;
  if (size == 0) return 0;
  const CifarLabels labels = data[0] == 'b' ? CifarLabels{20, 100} : CifarLabels{10};
  constexpr std::size_t records_max = 3;
  Samples images{std::vector<std::uint8_t>(cifar_pixels), {7}};
  const bool accepted = fuzz::accepts([&] {
    append_cifar_records({data + 1, size - 1}, "a", labels, images, records_max);
  });
  const std::size_t records = accepted ? (size - 1) / (labels.size() + cifar_pixels) : 0;
  fuzz::check_property(records <= records_max && images.count() == 1 + records &&
                           images.pixels.size() == images.count() * cifar_pixels,
                       "all records of a file are added, or none");
  fuzz::check_property(std::all_of(images.labels.begin(), images.labels.end(),
                                   [&](std::uint8_t label) { return label < labels.back(); }),
                       "labels are below the number of classes");
  return 0;
}
