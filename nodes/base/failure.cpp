// The messages of failures.
#include "nodes/base/failure.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>

namespace lateral {

void throw_diverged(const std::string& what) {
  throw NumericsError(
      fmt::format("{}: the network has diverged; expected finite numbers (settings to check: "
                  "learning_rate, decorrelation.learning_rate, decorrelation.gain, learning.sigma, "
                  "data.normalize)",
                  what));
}

std::optional<ExitCode> failure_code(int number) {
  switch (static_cast<ExitCode>(number)) {
    case ExitCode::internal_error:
    case ExitCode::user_error:
    case ExitCode::network:
    case ExitCode::numerics:
      return static_cast<ExitCode>(number);
    case ExitCode::done:
      break;
  }
  return std::nullopt;
}

namespace {

/// A character of UTF-8 at the beginning of `bytes`: its number and length; length 0 if there is
/// none.
struct Character {
  char32_t number = 0;
  std::size_t length = 0;
};

Character first_character(std::string_view bytes) {
  const auto lead = static_cast<unsigned char>(bytes.front());
  if (lead < 0x80) return {lead, 1};
  const std::size_t length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
  if (lead < 0xc2 || lead > 0xf4 || bytes.size() < length) return {};
  char32_t number = lead & (0x7fU >> length);
  for (std::size_t i = 1; i < length; ++i) {
    const auto next = static_cast<unsigned char>(bytes[i]);
    if ((next & 0xc0) != 0x80) return {};
    number = number << 6 | (next & 0x3fU);
  }
  constexpr char32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
  const bool is_surrogate = number >= 0xd800 && number <= 0xdfff;
  if (number < smallest[length] || number > 0x10ffff || is_surrogate) return {};
  return {number, length};
}

bool is_unsafe(char32_t c) {
  return c < 0x20 || (c >= 0x7f && c < 0xa0) ||          // control characters
         c == 0x61c || (c >= 0x200b && c <= 0x200f) ||   // direction, invisible characters
         (c >= 0x2028 && c <= 0x202e) ||                 // line separators, direction
         (c >= 0x2060 && c <= 0x206f) || c == 0xfeff ||  // invisible characters, direction
         (c >= 0xfff0 && c <= 0xfffb) || (c >= 0xe0000 && c <= 0xe0fff);  // annotations, tags
}

}  // namespace

bool is_utf8(std::string_view text) {
  while (!text.empty()) {
    const Character c = first_character(text);
    if (c.length == 0) return false;
    text.remove_prefix(c.length);
  }
  return true;
}

std::string one_line(std::string text) {
  std::string line;
  line.reserve(text.size());
  std::string_view rest = text;
  while (!rest.empty()) {
    const Character c = first_character(rest);
    if (c.length == 0)
      line += fmt::format("\\x{:02x}", static_cast<unsigned char>(rest.front()));
    else if (c.number == U'\n')
      line.push_back(' ');
    else if (is_unsafe(c.number))
      line.push_back('?');
    else
      line += rest.substr(0, c.length);
    rest.remove_prefix(std::max<std::size_t>(1, c.length));
  }
  while (!line.empty() && line.back() == ' ') line.pop_back();
  return line;
}

}  // namespace lateral
