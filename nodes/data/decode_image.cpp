// Decoding JPEG with libjpeg and PNG with libpng.
#include "nodes/data/decode_image.hpp"

// jpeglib.h needs FILE.
#include <cstdio>
// clang-format off
#include <jpeglib.h>
#include <jerror.h>
// clang-format on
#include <fmt/format.h>
#include <png.h>

#include <algorithm>
#include <array>
#include <csetjmp>
#include <string>

#include "core/check.hpp"
#include "nodes/base/digest.hpp"
#include "nodes/base/failure.hpp"
#include "nodes/data/files.hpp"

namespace lateral {
namespace {

constexpr std::array<std::uint8_t, 3> jpeg_signature{0xFF, 0xD8, 0xFF};
constexpr std::array<std::uint8_t, 8> png_signature{0x89, 'P', 'N', 'G', '\r', '\n', 0x1A, '\n'};

/// How a library's call ends that fails: both libraries are C, which exceptions must not pass.
struct LibraryError {
  std::jmp_buf jump;
  std::array<char, JMSG_LENGTH_MAX> text{};
};

[[noreturn]] void fail(LibraryError& error, const char* text) {
  std::snprintf(error.text.data(), error.text.size(), "%s", text);
  std::longjmp(error.jump, 1);
}

/// False if `call` failed. A failure skips the destructors of what `call` holds, so it must hold
/// references only.
template <class Call>
bool succeeds(LibraryError& error, const Call& call) {
  if (setjmp(error.jump) != 0) return false;
  call();
  return true;
}

[[noreturn]] void refuse_damaged(std::string_view file, const char* kind,
                                 const LibraryError& error) {
  throw UserError(fmt::format("{}: damaged {} image: {}", file, kind, one_line(error.text.data())));
}

void check_size(std::size_t width, std::size_t height, std::string_view file,
                std::size_t pixels_max) {
  constexpr std::size_t side_max = image_side_max;
  if (width == 0 || height == 0 || width > side_max || height > side_max ||
      width * height > pixels_max)
    throw UserError(
        fmt::format("{}: image of {} × {} pixels, expected at most {} a side and {} in all", file,
                    width, height, image_side_max, pixels_max));
}

/// An image of this size, black.
Image black_image(int channels, std::size_t height, std::size_t width) {
  return {channels, static_cast<int>(height), static_cast<int>(width),
          std::vector<std::uint8_t>(static_cast<std::size_t>(channels) * height * width)};
}

/// Puts a row of pixels whose channels follow each other into the image.
void put_row(Image& image, std::size_t y, const std::uint8_t* row) {
  const auto channels = static_cast<std::size_t>(image.channels);
  const auto width = static_cast<std::size_t>(image.width);
  const std::size_t plane = width * static_cast<std::size_t>(image.height);
  for (std::size_t c = 0; c < channels; ++c) {
    std::uint8_t* out = image.pixels.data() + c * plane + y * width;
    for (std::size_t x = 0; x < width; ++x) out[x] = row[x * channels + c];
  }
}

// JPEG

void jpeg_fail(j_common_ptr info) {
  std::array<char, JMSG_LENGTH_MAX> text{};
  info->err->format_message(info, text.data());
  fail(*static_cast<LibraryError*>(info->client_data), text.data());
}

/// The library goes on after damage, with pixels of its own; here that is an error. Warnings that
/// leave the pixels as they are stay unsaid.
void jpeg_message(j_common_ptr info, int level) {
  if (level >= 0) return;
  switch (info->err->msg_code) {
    case JWRN_ARITH_BAD_CODE:
    case JWRN_BOGUS_PROGRESSION:
    case JWRN_HIT_MARKER:
    case JWRN_HUFF_BAD_CODE:
    case JWRN_JPEG_EOF:
    case JWRN_MUST_RESYNC:
      jpeg_fail(info);
      break;
    default:
      break;
  }
}

void jpeg_ignore_message(j_common_ptr) {}

void jpeg_check_scans(j_common_ptr info) {
  if (reinterpret_cast<j_decompress_ptr>(info)->input_scan_number > jpeg_scans_max) {
    std::array<char, JMSG_LENGTH_MAX> text{};
    std::snprintf(text.data(), text.size(), "a progressive image of more than %d scans",
                  jpeg_scans_max);
    fail(*static_cast<LibraryError*>(info->client_data), text.data());
  }
}

/// A decompressor whose errors leave the call that succeeds() made.
struct JpegDecoder {
  jpeg_decompress_struct info{};
  jpeg_error_mgr messages{};
  jpeg_progress_mgr progress{};
  LibraryError error{};

  JpegDecoder() {
    info.err = jpeg_std_error(&messages);
    messages.error_exit = jpeg_fail;
    messages.emit_message = jpeg_message;
    messages.output_message = jpeg_ignore_message;
    progress.progress_monitor = jpeg_check_scans;
    info.client_data = &error;
  }
  ~JpegDecoder() { jpeg_destroy_decompress(&info); }
  JpegDecoder(const JpegDecoder&) = delete;
  JpegDecoder& operator=(const JpegDecoder&) = delete;
};

/// CMYK as four bytes a pixel, in place into red, green and blue. Adobe's files hold how much of
/// an ink is absent, others how much there is.
void cmyk_to_rgb(std::uint8_t* row, std::size_t width, bool inverted) {
  for (std::size_t x = 0; x < width; ++x) {
    const auto absent = [&](std::size_t ink) {
      const unsigned value = row[4 * x + ink];
      return inverted ? value : 255U - value;
    };
    const unsigned no_black = absent(3);
    for (std::size_t c = 0; c < 3; ++c)
      row[3 * x + c] = static_cast<std::uint8_t>((absent(c) * no_black + 127U) / 255U);
  }
}

Image decode_jpeg(std::span<const std::uint8_t> bytes, std::string_view file,
                  std::size_t pixels_max) {
  JpegDecoder decoder;
  jpeg_decompress_struct& info = decoder.info;
  if (!succeeds(decoder.error, [&] {
        jpeg_create_decompress(&info);
        info.progress = &decoder.progress;
        jpeg_mem_src(&info, bytes.data(), bytes.size());
        jpeg_read_header(&info, TRUE);
      }))
    refuse_damaged(file, "JPEG", decoder.error);
  check_size(info.image_width, info.image_height, file, pixels_max);

  const bool is_cmyk = info.num_components == 4;
  const bool is_grey = info.num_components == 1;
  info.out_color_space = is_cmyk ? JCS_CMYK : is_grey ? JCS_GRAYSCALE : JCS_RGB;
  info.dct_method = JDCT_ISLOW;  // its bits are the same on every processor
  if (!succeeds(decoder.error, [&] { jpeg_start_decompress(&info); }))
    refuse_damaged(file, "JPEG", decoder.error);

  Image image = black_image(is_grey ? 1 : 3, info.output_height, info.output_width);
  std::vector<std::uint8_t> row(std::size_t{info.output_width} *
                                static_cast<std::size_t>(info.output_components));
  for (std::size_t y = 0; y < info.output_height; ++y) {
    JSAMPROW target = row.data();
    if (!succeeds(decoder.error, [&] {
          if (jpeg_read_scanlines(&info, &target, 1) != 1) fail(decoder.error, "a row is missing");
        }))
      refuse_damaged(file, "JPEG", decoder.error);
    if (is_cmyk) cmyk_to_rgb(row.data(), info.output_width, info.saw_Adobe_marker != 0);
    put_row(image, y, row.data());
  }
  return image;
}

// PNG

/// A reader of bytes whose errors leave the call that succeeds() made.
struct PngDecoder {
  png_structp png = nullptr;
  png_infop info = nullptr;
  std::span<const std::uint8_t> rest;  // not read yet
  LibraryError error{};

  explicit PngDecoder(std::span<const std::uint8_t> bytes) : rest{bytes} {}
  ~PngDecoder() { png_destroy_read_struct(&png, &info, nullptr); }
  PngDecoder(const PngDecoder&) = delete;
  PngDecoder& operator=(const PngDecoder&) = delete;
};

void png_fail(png_structp png, png_const_charp text) {
  fail(*static_cast<LibraryError*>(png_get_error_ptr(png)), text);
}

void png_ignore_warning(png_structp, png_const_charp) {}

void png_read_bytes(png_structp png, png_bytep out, std::size_t count) {
  auto& rest = static_cast<PngDecoder*>(png_get_io_ptr(png))->rest;
  if (count > rest.size()) png_error(png, "the file is truncated");
  std::copy_n(rest.begin(), count, out);
  rest = rest.subspan(count);
}

void png_read_header(PngDecoder& decoder) {
  decoder.png =
      png_create_read_struct(PNG_LIBPNG_VER_STRING, &decoder.error, png_fail, png_ignore_warning);
  if (decoder.png == nullptr) fail(decoder.error, "libpng does not start");
  decoder.info = png_create_info_struct(decoder.png);
  if (decoder.info == nullptr) fail(decoder.error, "libpng does not start");
  png_set_read_fn(decoder.png, &decoder, png_read_bytes);
  png_read_info(decoder.png, decoder.info);
}

/// Every kind of PNG becomes grey or colour of 8 bits.
void png_set_conversions(PngDecoder& decoder) {
  png_set_expand(decoder.png);
  png_set_scale_16(decoder.png);
  png_set_strip_alpha(decoder.png);
  png_set_interlace_handling(decoder.png);
  png_read_update_info(decoder.png, decoder.info);
}

Image decode_png(std::span<const std::uint8_t> bytes, std::string_view file,
                 std::size_t pixels_max) {
  PngDecoder decoder{bytes};
  if (!succeeds(decoder.error, [&] { png_read_header(decoder); }))
    refuse_damaged(file, "PNG", decoder.error);
  const std::size_t width = png_get_image_width(decoder.png, decoder.info);
  const std::size_t height = png_get_image_height(decoder.png, decoder.info);
  check_size(width, height, file, pixels_max);
  if (!succeeds(decoder.error, [&] { png_set_conversions(decoder); }))
    refuse_damaged(file, "PNG", decoder.error);

  const int channels = png_get_channels(decoder.png, decoder.info);
  const std::size_t row_bytes = png_get_rowbytes(decoder.png, decoder.info);
  LATERAL_CHECK(channels == 1 || channels == 3);
  LATERAL_CHECK(row_bytes == width * static_cast<std::size_t>(channels));
  // An interlaced image is complete only after its last pass, so all rows are kept.
  std::vector<std::uint8_t> pixels(row_bytes * height);
  std::vector<png_bytep> rows(height);
  for (std::size_t y = 0; y < height; ++y) rows[y] = pixels.data() + y * row_bytes;
  if (!succeeds(decoder.error, [&] {
        png_read_image(decoder.png, rows.data());
        png_read_end(decoder.png, nullptr);
      }))
    refuse_damaged(file, "PNG", decoder.error);

  Image image = black_image(channels, height, width);
  for (std::size_t y = 0; y < height; ++y) put_row(image, y, rows[y]);
  return image;
}

template <std::size_t size>
bool starts_with(std::span<const std::uint8_t> bytes,
                 const std::array<std::uint8_t, size>& signature) {
  return bytes.size() >= size && std::equal(signature.begin(), signature.end(), bytes.begin());
}

}  // namespace

Image decode_image(std::span<const std::uint8_t> bytes, std::string_view file,
                   std::size_t pixels_max) {
  if (starts_with(bytes, jpeg_signature)) return decode_jpeg(bytes, file, pixels_max);
  if (starts_with(bytes, png_signature)) return decode_png(bytes, file, pixels_max);
  const auto head = bytes.first(std::min(bytes.size(), png_signature.size()));
  const std::string found =
      bytes.empty()
          ? "an empty file"
          : fmt::format("0x{}", to_hex({reinterpret_cast<const char*>(head.data()), head.size()}));
  refuse_data(file, 0, found, "a JPEG or PNG image");
}

Image with_channels(Image image, int channels) {
  LATERAL_CHECK(channels == 1 || channels == 3);
  if (image.channels == channels) return image;
  const std::size_t plane = image.pixels.size() / static_cast<std::size_t>(image.channels);
  Image converted = black_image(channels, static_cast<std::size_t>(image.height),
                                static_cast<std::size_t>(image.width));
  if (channels == 3) {
    for (std::size_t c = 0; c < 3; ++c)
      std::copy_n(image.pixels.begin(), plane,
                  converted.pixels.begin() + static_cast<std::ptrdiff_t>(c * plane));
    return converted;
  }
  // 0.299, 0.587 and 0.114 in units of 2^-16; they sum to 1.
  constexpr std::uint32_t red = 19595, green = 38470, blue = 7471;
  for (std::size_t i = 0; i < plane; ++i)
    converted.pixels[i] =
        static_cast<std::uint8_t>((red * image.pixels[i] + green * image.pixels[plane + i] +
                                   blue * image.pixels[2 * plane + i] + 32768U) >>
                                  16U);
  return converted;
}

}  // namespace lateral
