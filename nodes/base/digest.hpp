// SHA-256 digests, and bytes as hexadecimal text.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace lateral {

inline constexpr std::size_t sha256_bytes = 32;

/// SHA-256 (FIPS 180-4) of bytes that arrive in pieces.
class Sha256 {
 public:
  Sha256();
  void add(std::string_view bytes);
  void add(const void* data, std::size_t bytes) { add({static_cast<const char*>(data), bytes}); }
  /// The digest, sha256_bytes long. The object must not be used after this call.
  std::string finish();

 private:
  struct Free {
    void operator()(void* context) const;
  };
  std::unique_ptr<void, Free> context_;  // EVP_MD_CTX
};

/// SHA-256 of `bytes`, sha256_bytes long.
std::string sha256(std::string_view bytes);

/// Two lower-case digits a byte.
std::string to_hex(std::string_view bytes);
/// The bytes that to_hex() gave this text for; nothing if there are none.
std::optional<std::string> from_hex(std::string_view hex);

}  // namespace lateral
