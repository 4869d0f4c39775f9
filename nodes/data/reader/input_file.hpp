// A user's data file, opened for reading at any position.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>

namespace lateral {

/// A regular file that stays open with the object.
class InputFile {
 public:
  /// Throws UserError:
  ///   FILE: not found, expected EXPECTED
  ///   FILE: not a regular file, expected EXPECTED
  ///   FILE: cannot be opened: REASON
  InputFile(const std::filesystem::path& file, const std::string& expected);
  ~InputFile();
  InputFile(const InputFile&) = delete;
  InputFile& operator=(const InputFile&) = delete;

  std::size_t size() const { return size_; }
  int descriptor() const { return descriptor_; }
  const std::string& name() const { return name_; }
  /// Fills `out` from `offset` on. Throws UserError if the file ends earlier or cannot be read.
  void read(std::size_t offset, std::span<std::uint8_t> out) const;

 private:
  std::string name_;
  int descriptor_ = -1;
  std::size_t size_ = 0;
};

}  // namespace lateral
