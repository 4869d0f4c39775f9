// SweepFolder: the files in the folder of a sweep.
#pragma once

#include <fmt/format.h>

#include <filesystem>

#include "nodes/results/run_directory.hpp"

namespace lateral {

struct SweepFolder {
  std::filesystem::path path;

  std::filesystem::path sweep() const { return path / "sweep.textproto"; }
  std::filesystem::path experiment() const { return path / "experiment.textproto"; }
  /// SHA-256 of the two files above, as they were when the sweep began.
  std::filesystem::path digest() const { return path / "digest"; }
  /// The name of the sweep and the version of the program that wrote the results.
  std::filesystem::path info() const { return path / "sweep.json"; }
  std::filesystem::path csv() const { return path / "sweep.csv"; }
  std::filesystem::path table() const { return path / "table.txt"; }
  std::filesystem::path members() const { return path / "members"; }
  /// The files of the run of a member.
  RunFiles member(std::size_t i) const { return RunFiles(members() / fmt::format("{:05}", i)); }
  std::filesystem::path result(std::size_t i) const { return beside(i, ".result.json"); }
  std::filesystem::path log(std::size_t i) const { return beside(i, ".log"); }

 private:
  std::filesystem::path beside(std::size_t i, const char* ending) const {
    return std::filesystem::path(member(i).path()).concat(ending);
  }
};

}  // namespace lateral
