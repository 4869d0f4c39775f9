// The messages of failures.
#include "nodes/base/failure.hpp"

#include <fmt/format.h>

namespace lateral {

void throw_diverged(const std::string& what) {
  throw NumericsError(
      fmt::format("{}: the network has diverged; expected finite numbers (settings to check: "
                  "learning_rate, decorrelation.learning_rate, decorrelation.gain, learning.sigma)",
                  what));
}

std::string one_line(std::string text) {
  for (char& c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7f) c = c == '\n' ? ' ' : '?';
  }
  while (!text.empty() && text.back() == ' ') text.pop_back();
  return text;
}

}  // namespace lateral
