// decode_image: pixels of every kind of JPEG and PNG, and the text of every refusal.
#include "nodes/data/decode_image.hpp"

#include <cstdlib>

#include "tests/nodes/data/data_fixtures.hpp"
#include "tests/support/encode_image.hpp"

using namespace lateral;
using namespace lateral::testing;

namespace {

std::span<const std::uint8_t> bytes_of(const std::string& file) {
  return {reinterpret_cast<const std::uint8_t*>(file.data()), file.size()};
}

Image decode(const std::string& file) { return decode_image(bytes_of(file), "F"); }

std::string refusal(const std::string& file, std::size_t pixels_max = image_pixels_max) {
  return refusal_of([&] { decode_image(bytes_of(file), "F", pixels_max); });
}

/// Whether all pixels are within `tolerance` of what is expected.
bool is_near(const Bytes& pixels, const Bytes& expected, int tolerance) {
  if (pixels.size() != expected.size()) return false;
  for (std::size_t i = 0; i < pixels.size(); ++i)
    if (std::abs(int{pixels[i]} - int{expected[i]}) > tolerance) return false;
  return true;
}

/// `count` pixels of one colour.
Bytes repeated(const Bytes& pixel, std::size_t count) {
  Bytes pixels;
  for (std::size_t i = 0; i < count; ++i) pixels.insert(pixels.end(), pixel.begin(), pixel.end());
  return pixels;
}

/// The same, channel by channel.
Bytes planes(const Bytes& pixel, std::size_t count) {
  Bytes pixels;
  for (const std::uint8_t channel : pixel) pixels.insert(pixels.end(), count, channel);
  return pixels;
}

constexpr int tolerance = 3;  // of JPEG at high quality

}  // namespace

TEST_CASE("a JPEG in colour is decoded channel by channel") {
  const Image image = decode(jpeg_of(16, 8, repeated({200, 100, 30}, 128)));
  CHECK(image.channels == 3);
  CHECK(image.height == 8);
  CHECK(image.width == 16);
  CHECK(is_near(image.pixels, planes({200, 100, 30}, 128), tolerance));
}

TEST_CASE("a progressive JPEG has the pixels of its sequential one") {
  Bytes pixels;
  for (int i = 0; i < 32 * 24; ++i)
    for (const int step : {3, 5, 7}) pixels.push_back(static_cast<std::uint8_t>(i * step / 20));
  JpegOptions progressive;
  progressive.is_progressive = true;
  const std::string file = jpeg_of(32, 24, pixels, progressive);
  CHECK(decode(file).pixels == decode(jpeg_of(32, 24, pixels)).pixels);
}

TEST_CASE("a grey JPEG has one channel") {
  JpegOptions grey;
  grey.color_space = JCS_GRAYSCALE;
  grey.channels = 1;
  const Image image = decode(jpeg_of(9, 7, Bytes(63, 77), grey));
  CHECK(image.channels == 1);
  CHECK(is_near(image.pixels, Bytes(63, 77), tolerance));
}

TEST_CASE("a CMYK JPEG is converted to red, green and blue") {
  JpegOptions cmyk;
  cmyk.color_space = JCS_CMYK;
  cmyk.channels = 4;
  // Adobe's: 255 is no ink. Half of the light passes the black.
  const Image image = decode(jpeg_of(8, 8, repeated({255, 51, 0, 128}, 64), cmyk));
  CHECK(image.channels == 3);
  CHECK(is_near(image.pixels, planes({128, 26, 0}, 64), tolerance));
  cmyk.has_adobe_marker = false;
  CHECK(is_near(decode(jpeg_of(8, 8, repeated({0, 204, 255, 127}, 64), cmyk)).pixels,
                planes({128, 26, 0}, 64), tolerance));
}

TEST_CASE("a PNG in colour is decoded exactly, interlaced or not") {
  Bytes pixels;
  for (int i = 0; i < 9 * 11 * 3; ++i) pixels.push_back(static_cast<std::uint8_t>(i * 7));
  PngOptions options;
  const Image image = decode(png_of(9, 11, pixels, options));
  CHECK(image.channels == 3);
  CHECK(image.height == 11);
  CHECK(image.width == 9);
  bool is_exact = image.pixels.size() == pixels.size();
  for (std::size_t i = 0; is_exact && i < 99; ++i)
    for (std::size_t c = 0; c < 3; ++c)
      is_exact = is_exact && image.pixels[c * 99 + i] == pixels[i * 3 + c];
  CHECK(is_exact);
  options.is_interlaced = true;
  CHECK(decode(png_of(9, 11, pixels, options)).pixels == image.pixels);
}

TEST_CASE("every kind of PNG becomes grey or colour of 8 bits") {
  PngOptions grey;
  grey.color_type = PNG_COLOR_TYPE_GRAY;
  CHECK(decode(png_of(2, 1, {10, 250}, grey)).pixels == Bytes{10, 250});
  CHECK(decode(png_of(2, 1, {10, 250}, grey)).channels == 1);
  grey.bits = 1;
  CHECK(decode(png_of(4, 1, {0b10100000}, grey)).pixels == Bytes{255, 0, 255, 0});
  grey.bits = 4;
  CHECK(decode(png_of(2, 1, {0x5F}, grey)).pixels == Bytes{85, 255});
  grey.bits = 16;  // rounded: 0x1281 / 257 is 18.4, 0x12FF / 257 is 18.9
  CHECK(decode(png_of(3, 1, {0x12, 0x81, 0x12, 0xFF, 0xFF, 0xFF}, grey)).pixels ==
        Bytes{18, 19, 255});

  PngOptions grey_alpha;
  grey_alpha.color_type = PNG_COLOR_TYPE_GRAY_ALPHA;
  CHECK(decode(png_of(2, 1, {10, 0, 20, 255}, grey_alpha)).pixels == Bytes{10, 20});

  PngOptions colour_alpha;
  colour_alpha.color_type = PNG_COLOR_TYPE_RGB_ALPHA;
  CHECK(decode(png_of(2, 1, {1, 2, 3, 0, 4, 5, 6, 128}, colour_alpha)).pixels ==
        Bytes{1, 4, 2, 5, 3, 6});

  PngOptions palette;
  palette.color_type = PNG_COLOR_TYPE_PALETTE;
  palette.palette = {{9, 8, 7}, {100, 110, 120}};
  const Image image = decode(png_of(2, 1, {1, 0}, palette));
  CHECK(image.channels == 3);
  CHECK(image.pixels == Bytes{100, 9, 110, 8, 120, 7});
}

TEST_CASE("another kind of file is refused by its first bytes") {
  CHECK(refusal("GIF89a, and more") ==
        "F: at byte 0: found 0x4749463839612c20, expected a JPEG or PNG image");
  CHECK(refusal("") == "F: at byte 0: found an empty file, expected a JPEG or PNG image");
  CHECK(contains(refusal("\xff\xd8"), "found 0xffd8, expected"));
}

TEST_CASE("an image beyond the limits is refused before it is decoded") {
  const std::string message =
      "F: image of 20 × 10 pixels, expected at most 32768 a side and 199 in all";
  CHECK(refusal(png_of(20, 10, Bytes(600)), 199) == message);
  CHECK(refusal(jpeg_of(20, 10, Bytes(600)), 199) == message);
  CHECK(refusal(png_of(20, 10, Bytes(600)), 200).empty());
  CHECK(refusal(jpeg_of(20, 10, Bytes(600)), 200).empty());

  // The header says more than the file can hold.
  std::string jpeg = jpeg_of(20, 10, Bytes(600));
  const std::size_t frame = jpeg.find("\xff\xc0");
  REQUIRE(frame != std::string::npos);
  jpeg.replace(frame + 5, 4, "\xff\x00\xff\x00", 4);
  CHECK(contains(refusal(jpeg), "F: image of 65280 × 65280 pixels, expected at most 32768"));
  const Bytes wide(std::size_t{3} * (image_side_max + 1));
  CHECK(contains(refusal(png_of(image_side_max + 1, 1, wide)), "F: image of 32769 × 1 pixels"));
}

TEST_CASE("a header that claims more rows than there are is refused") {
  std::string jpeg = jpeg_of(32, 8, Bytes(768, 90));
  const std::size_t frame = jpeg.find("\xff\xc0");
  REQUIRE(frame != std::string::npos);
  jpeg.replace(frame + 5, 2, "\x10\x00", 2);  // 4096 rows
  CHECK(contains(refusal(jpeg), "F: damaged JPEG image: "));
}

TEST_CASE("a truncated image is refused in one line, wherever it ends") {
  Bytes pixels;
  for (int i = 0; i < 40 * 40 * 3; ++i) pixels.push_back(static_cast<std::uint8_t>(i * i / 7));
  JpegOptions progressive;
  progressive.is_progressive = true;
  const std::string jpeg = jpeg_of(40, 40, pixels);
  for (const std::string& file : {jpeg, jpeg_of(40, 40, pixels, progressive)})
    for (std::size_t n = 3; n + 8 < file.size(); n += 7) {
      const std::string text = refusal(file.substr(0, n));
      CHECK(is_one_line(text));
      CHECK(contains(text, "F: damaged JPEG image: "));
    }
  const std::string png = png_of(40, 40, pixels);
  for (std::size_t n = 8; n < png.size(); n += 7)
    CHECK(refusal(png.substr(0, n)) == "F: damaged PNG image: the file is truncated");
}

TEST_CASE("a damaged PNG is refused with the library's reason") {
  std::string png = png_of(4, 4, Bytes(48, 5));
  const std::size_t data = png.find("IDAT");
  REQUIRE(data != std::string::npos);
  png[data + 8] = static_cast<char>(png[data + 8] ^ 0x55);
  const std::string text = refusal(png);
  CHECK(contains(text, "F: damaged PNG image: "));
  CHECK(is_one_line(text));
}

TEST_CASE("a progressive JPEG of very many scans is refused") {
  JpegOptions progressive{JCS_GRAYSCALE, 1};
  progressive.scans = {{1, {0}, 0, 0, 0, 0}, {1, {0}, 1, 63, 0, 0}};
  const std::string file = jpeg_of(16, 16, Bytes(256, 120), progressive);
  CHECK(refusal(file).empty());
  // The last scan, up to the marker of the end, again and again.
  const std::size_t scan = file.rfind("\xff\xda");
  const std::size_t end = file.rfind("\xff\xd9");
  REQUIRE(scan != std::string::npos);
  REQUIRE(end != std::string::npos);
  std::string many = file.substr(0, end);
  for (int i = 0; i < 100; ++i) many += file.substr(scan, end - scan);
  many += file.substr(end);
  CHECK(refusal(many) == "F: damaged JPEG image: a progressive image of more than 64 scans");
}

TEST_CASE("channels are converted by luminance or by copying") {
  const Image colour{3, 1, 3, {255, 0, 10, 255, 0, 20, 255, 255, 30}};
  const Image grey = with_channels(colour, 1);
  CHECK(grey.channels == 1);
  CHECK(grey.pixels == Bytes{255, 29, 18});
  CHECK(with_channels(grey, 3).pixels == Bytes{255, 29, 18, 255, 29, 18, 255, 29, 18});
  CHECK(with_channels(colour, 3).pixels == colour.pixels);
}
