// Resizing an image to a square, with interpolation that does not alias.
#pragma once

#include "nodes/data/decode_image.hpp"

namespace lateral {

/// The largest height and width that an image can be resized to.
constexpr int resized_side_max = 1024;

/// The shorter side becomes `size`, the other in proportion, and the middle `size` × `size` pixels
/// are returned. Each pixel is a weighted mean under a triangle: bilinear interpolation when
/// enlarging; when reducing, the triangle is as wide as two pixels of the result, so that no pixel
/// of the image is left out. The weights are integers, so the bits are the same on every processor.
/// An image that has this size already is returned as it is.
/// REQUIRES: 1 ≤ size ≤ resized_side_max.
Image resize_and_crop(const Image& image, int size);

}  // namespace lateral
