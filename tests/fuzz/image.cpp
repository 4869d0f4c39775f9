// Fuzz target: JPEG and PNG images.
#include "nodes/data/decode_image.hpp"
#include "nodes/data/resize_image.hpp"
#include "tests/fuzz/fuzz.hpp"
#include "tests/support/encode_image.hpp"

namespace lateral::fuzz {

std::vector<std::string> seeds() {
  using namespace lateral::testing;
  std::vector<std::uint8_t> pixels;
  for (int i = 0; i < 18 * 10 * 4; ++i) pixels.push_back(static_cast<std::uint8_t>(i * i / 5));
  JpegOptions grey{JCS_GRAYSCALE, 1}, cmyk{JCS_CMYK, 4}, progressive;
  progressive.is_progressive = true;
  PngOptions palette{PNG_COLOR_TYPE_PALETTE, 1}, deep{PNG_COLOR_TYPE_RGB, 16},
      interlaced{PNG_COLOR_TYPE_RGB_ALPHA};
  palette.palette = {{1, 2, 3}, {200, 100, 0}};
  interlaced.is_interlaced = true;
  const auto part = [&](std::size_t count) {
    return std::vector<std::uint8_t>(pixels.begin(),
                                     pixels.begin() + static_cast<std::ptrdiff_t>(count));
  };
  return {jpeg_of(18, 10, part(540)),     jpeg_of(18, 10, part(180), grey),
          jpeg_of(18, 10, pixels, cmyk),  jpeg_of(18, 10, part(540), progressive),
          png_of(18, 10, part(540)),      png_of(18, 10, part(30), palette),
          png_of(9, 10, part(540), deep), png_of(18, 10, pixels, interlaced)};
}

}  // namespace lateral::fuzz

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace lateral;
  constexpr std::size_t pixels_max = std::size_t{1} << 20U;
  Image image;
  if (!fuzz::accepts([&] { image = decode_image({data, size}, "a", pixels_max); })) return 0;
  const std::size_t pixels =
      static_cast<std::size_t>(image.height) * static_cast<std::size_t>(image.width);
  fuzz::check_property(pixels > 0 && pixels <= pixels_max, "the limit of pixels holds");
  fuzz::check_property(image.channels == 1 || image.channels == 3, "grey or colour");
  fuzz::check_property(image.pixels.size() == static_cast<std::size_t>(image.channels) * pixels,
                       "every pixel has its channels");
  const Image resized = with_channels(resize_and_crop(image, 4), 3);
  fuzz::check_property(resized.pixels.size() == 48, "the resized image has its size");
  return 0;
}
