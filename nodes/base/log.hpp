// Log: lines with time and level, to a file or to standard error.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

namespace lateral {

/// A line is "2026-01-31T12:00:00.123Z info TEXT", in UTC, and is flushed as it is written.
/// Copies share one open file. May be used from any thread.
class Log {
 public:
  /// A log that drops every line.
  Log() = default;
  static Log to_file(const std::filesystem::path& path);  ///< appends
  static Log to_standard_error();

  void info(const std::string& text) const;
  void warning(const std::string& text) const;
  void error(const std::string& text) const;

 private:
  struct Sink;
  explicit Log(std::shared_ptr<Sink> sink) : sink_{std::move(sink)} {}
  std::shared_ptr<Sink> sink_;
};

}  // namespace lateral
