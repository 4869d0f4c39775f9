// resize_and_crop: sizes, the part that is kept, and weighted means computed by hand.
#include "nodes/data/resize_image.hpp"

#include "tests/nodes/data/data_fixtures.hpp"

using namespace lateral;
using namespace lateral::testing;

namespace {

/// A grey image whose rows are equal.
Image of_columns(const Bytes& columns, int height) {
  Image image{1, height, static_cast<int>(columns.size()), {}};
  image.pixels.resize(static_cast<std::size_t>(height) * columns.size());
  for (std::size_t i = 0; i < image.pixels.size(); ++i)
    image.pixels[i] = columns[i % columns.size()];
  return image;
}

Image transposed(const Image& image) {
  Image result{image.channels, image.width, image.height, Bytes(image.pixels.size())};
  const auto height = static_cast<std::size_t>(image.height);
  const auto width = static_cast<std::size_t>(image.width);
  for (std::size_t c = 0; c < static_cast<std::size_t>(image.channels); ++c)
    for (std::size_t y = 0; y < height; ++y)
      for (std::size_t x = 0; x < width; ++x)
        result.pixels[(c * width + x) * height + y] = image.pixels[(c * height + y) * width + x];
  return result;
}

}  // namespace

TEST_CASE("an image of the wanted size is returned unchanged") {
  const Image image{3, 2, 2, {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}};
  CHECK(resize_and_crop(image, 2).pixels == image.pixels);
}

TEST_CASE("the middle of the longer side is kept") {
  CHECK(resize_and_crop(of_columns({1, 2, 3, 4, 5, 6}, 2), 2).pixels == Bytes{3, 4, 3, 4});
  // One pixel too many is left out at the end.
  CHECK(resize_and_crop(of_columns({1, 2, 3}, 2), 2).pixels == Bytes{1, 2, 1, 2});
  const Image tall = transposed(of_columns({1, 2, 3, 4, 5, 6}, 2));
  CHECK(resize_and_crop(tall, 2).pixels == Bytes{3, 3, 4, 4});
}

TEST_CASE("a constant image stays constant at any size") {
  for (const int size : {1, 3, 7, 50, 200})
    for (const std::uint8_t value : Bytes{0, 1, 128, 254, 255}) {
      const Image image{3, 31, 47, Bytes(3 * 31 * 47, value)};
      const Image resized = resize_and_crop(image, size);
      CHECK(resized.height == size);
      CHECK(resized.width == size);
      const auto count = 3 * static_cast<std::size_t>(size) * static_cast<std::size_t>(size);
      CHECK(resized.pixels == Bytes(count, value));
    }
}

TEST_CASE("reducing takes weighted means under a triangle") {
  // Scale 2, so the triangle around 1 reaches from -1 to 3: weights 3, 3, 1 of the pixels 0 to 2.
  // Around 3 it reaches from 1 to 5: weights 1, 3, 3 of the pixels 1 to 3.
  const Image resized = resize_and_crop(of_columns({0, 70, 140, 210}, 4), 2);
  CHECK(resized.pixels == Bytes{50, 160, 50, 160});
}

TEST_CASE("stripes of one pixel do not alias when reduced") {
  Bytes stripes;
  for (int x = 0; x < 64; ++x) stripes.push_back(x % 4 == 0 ? 240 : 0);
  const Image resized = resize_and_crop(of_columns(stripes, 64), 8);
  // Without reading all pixels the results were 0 or 120.
  bool is_mean = true;
  for (const std::uint8_t pixel : resized.pixels) is_mean = is_mean && pixel > 50 && pixel < 70;
  CHECK(is_mean);
}

TEST_CASE("enlarging interpolates linearly") {
  // Pixel centres of the result lie at 0.25, 0.75, 1.25 and 1.75.
  const Image resized = resize_and_crop(of_columns({0, 100}, 2), 4);
  CHECK(Bytes(resized.pixels.begin(), resized.pixels.begin() + 4) == Bytes{0, 25, 75, 100});
}

TEST_CASE("rows and columns are treated alike, and channels apart") {
  Image image{3, 13, 29, {}};
  for (int i = 0; i < 3 * 13 * 29; ++i)
    image.pixels.push_back(static_cast<std::uint8_t>(i * i / 3 + i / 377 * 50));
  const Image resized = resize_and_crop(image, 6);
  const Image turned = transposed(resize_and_crop(transposed(image), 6));
  // The passes are in another order, so they round differently.
  bool is_near = turned.pixels.size() == resized.pixels.size();
  for (std::size_t i = 0; is_near && i < resized.pixels.size(); ++i)
    is_near = std::abs(int{turned.pixels[i]} - int{resized.pixels[i]}) <= 1;
  CHECK(is_near);
  for (std::size_t c = 0; c < 3; ++c) {
    const auto plane = image.pixels.begin() + static_cast<std::ptrdiff_t>(c * 377);
    const Image alone = resize_and_crop({1, 13, 29, {plane, plane + 377}}, 6);
    const auto part = resized.pixels.begin() + static_cast<std::ptrdiff_t>(c * 36);
    CHECK(alone.pixels == Bytes(part, part + 36));
  }
}

TEST_CASE("an image of one row resizes without an image as wide as the sides ask for") {
  Bytes columns(20000, 9);
  CHECK(resize_and_crop(of_columns(columns, 1), 64).pixels == Bytes(64 * 64, 9));
}
