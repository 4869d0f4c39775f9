// External text is made one printable line before it is written to a terminal or a log.
#include "nodes/base/failure.hpp"

#include <doctest/doctest.h>

namespace lateral {
namespace {

TEST_CASE("one_line replaces all control characters") {
  CHECK(one_line("a\nb\n") == "a b");
  CHECK(one_line("\x1b[31mred\x7f\t") == "?[31mred??");
  CHECK(one_line("1 µs") == "1 µs");
  CHECK(one_line("\n\n").empty());
}

}  // namespace
}  // namespace lateral
