// Reading within a limit, replacing atomically, and locks.
#include "nodes/base/file.hpp"

#include <doctest/doctest.h>
#include <stdlib.h>

#include <fstream>

#include "tests/support/temporary_folder.hpp"

namespace lateral {
namespace {

namespace fs = std::filesystem;

TEST_CASE("a file is read completely, as text or as bytes") {
  const TemporaryFolder folder;
  const fs::path file = folder.path() / "f";
  const std::string content{"a\0\n\xff", 4};
  std::ofstream{file, std::ios::binary} << content;
  CHECK(read_file(file, 4, "file") == content);
  CHECK(read_bytes(file, 4, "file") == std::vector<std::uint8_t>{'a', 0, '\n', 0xff});
  std::ofstream{file, std::ios::binary | std::ios::trunc};
  CHECK(read_file(file, 0, "file").empty());
}

TEST_CASE("a file that cannot be read is refused with its name and the reason") {
  const TemporaryFolder folder;
  const fs::path file = folder.path() / "f";
  const std::string name = file.string();
  CHECK(refusal_of([&] { read_file(file, 10, "sweep file"); }) == name + ": no such sweep file");
  CHECK(refusal_of([&] { read_file(file / "below", 10, "sweep file"); }) ==
        name + "/below: no such sweep file");
  CHECK(refusal_of([&] { read_file(folder.path(), 10, "sweep file"); }) ==
        folder.path().string() + ": not a regular file, expected sweep file");
  std::ofstream{file} << "hello";
  CHECK(refusal_of([&] { read_file(file, 4, "sweep file"); }) ==
        name + ": 5 bytes, expected at most 4");
  CHECK(refusal_of([&] { read_file(file, 5, "sweep file"); }).empty());
}

TEST_CASE("a file is replaced completely, and the temporary file is removed") {
  const TemporaryFolder folder;
  const fs::path file = folder.path() / "f";
  write_atomically(file, "first, and longer");
  write_atomically(file, "second");
  CHECK(read_file(file, 100, "file") == "second");
  CHECK(std::distance(fs::directory_iterator(folder.path()), fs::directory_iterator{}) == 1);
  CHECK(refusal_of([&] {
          write_atomically(folder.path() / "none" / "f", "x");
        }).starts_with((folder.path() / "none" / "f.tmp").string() + ": cannot be written: "));
}

TEST_CASE("a lock on a file or a folder is exclusive until its owner is destroyed") {
  const TemporaryFolder folder;
  const fs::path file = folder.path() / "f";
  std::ofstream{file} << "x";
  for (const fs::path& path : {file, folder.path()}) {
    CAPTURE(path.string());
    std::optional<FileLock> first = FileLock::try_lock(path);
    REQUIRE(first);
    CHECK(!FileLock::try_lock(path));
    FileLock moved = *std::move(first);
    first.reset();
    CHECK(!FileLock::try_lock(path));
    { const FileLock last = std::move(moved); }
    CHECK(FileLock::try_lock(path));
  }
  CHECK(refusal_of([&] {
          FileLock::try_lock(folder.path() / "none");
        }).find("cannot be opened: ") != std::string::npos);
}

}  // namespace
}  // namespace lateral
