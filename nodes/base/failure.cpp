// Messages of failures: where to look, and as one line.
#include "nodes/base/failure.hpp"

namespace lateral {

void throw_diverged(const std::string& what) {
  throw NumericsError(
      what +
      ": the network has diverged; expected finite numbers (learning_rate, "
      "decorrelation.learning_rate, decorrelation.gain and learning.sigma are where to look)");
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
