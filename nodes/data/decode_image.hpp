// Decoding JPEG and PNG files into bytes, channel by channel.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace lateral {

/// Pixels channel by channel, row by row, one byte each: grey, or red, green and blue.
struct Image {
  int channels = 0;  ///< 1 or 3
  int height = 0, width = 0;
  std::vector<std::uint8_t> pixels;  ///< channels · height · width
};

/// Limits of an image that is decoded; pixels are counted without channels.
constexpr int image_side_max = 32768;
constexpr std::size_t image_pixels_max = std::size_t{1} << 26U;
/// The largest number of scans of a progressive JPEG; encoders use about ten. Each scan costs the
/// time of a whole image, however few bytes it has.
constexpr int jpeg_scans_max = 64;

/// Decodes a JPEG (grey, colour, CMYK) or PNG file (any kind; 16 bits are rounded to 8), which its
/// first bytes tell apart. As torchvision's loader does, transparency and colour profiles are
/// ignored and the orientation of a camera is not applied. The same bytes give the same pixels with
/// the same version of the libraries. A pure function; `file` only names the bytes in messages.
/// Throws UserError for another kind of file, an image beyond the limits, and one that is damaged
/// or truncated.
Image decode_image(std::span<const std::uint8_t> bytes, std::string_view file,
                   std::size_t pixels_max = image_pixels_max);

/// The image in grey (luminance of ITU-R BT.601) or in three channels.
/// REQUIRES: channels 1 or 3.
Image with_channels(Image image, int channels);

}  // namespace lateral
