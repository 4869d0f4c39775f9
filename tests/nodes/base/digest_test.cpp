// SHA-256 against the examples of the standard, and hexadecimal text in both directions.
#include "nodes/base/digest.hpp"

#include <doctest/doctest.h>

namespace lateral {
namespace {

TEST_CASE("SHA-256 equals that of FIPS 180-4") {
  CHECK(to_hex(sha256("abc")) ==
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  CHECK(to_hex(sha256("")) == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  CHECK(sha256("abc").size() == sha256_bytes);
}

TEST_CASE("a digest does not depend on how the bytes are divided into calls") {
  const std::string bytes(1000, 'x');
  for (const std::size_t piece : {1, 63, 64, 999}) {
    Sha256 digest;
    for (std::size_t at = 0; at < bytes.size(); at += piece) digest.add(bytes.substr(at, piece));
    CHECK(digest.finish() == sha256(bytes));
  }
}

TEST_CASE("hexadecimal text and back") {
  std::string all;
  for (int byte = 0; byte < 256; ++byte) all += static_cast<char>(byte);
  CHECK(to_hex(all).substr(0, 8) == "00010203");
  CHECK(to_hex(all).substr(508) == "feff");
  CHECK(from_hex(to_hex(all)) == all);
  CHECK(from_hex("") == "");
  for (const char* text : {"0", "000", "0g", "g0", "0A", " 0", "0x", "-1"}) {
    CAPTURE(text);
    CHECK(!from_hex(text));
  }
}

}  // namespace
}  // namespace lateral
