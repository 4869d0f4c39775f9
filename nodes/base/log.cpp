// spdlog behind Log; the only file that includes it.
#include "nodes/base/log.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "nodes/base/failure.hpp"

namespace lateral {

struct Log::Sink {
  explicit Sink(spdlog::sink_ptr sink) : logger{"", std::move(sink)} {
    logger.set_formatter(std::make_unique<spdlog::pattern_formatter>(
        "%Y-%m-%dT%H:%M:%S.%eZ %l %v", spdlog::pattern_time_type::utc));
    logger.flush_on(spdlog::level::info);
    // A log that cannot be written (a full disk) must not end the run.
    logger.set_error_handler([](const std::string&) {});
  }
  void write(spdlog::level::level_enum level, const std::string& text) {
    logger.log(level, one_line(text));
  }
  spdlog::logger logger;
};

Log Log::to_file(const std::filesystem::path& path) {
  // spdlog would follow a link that somebody has put in the place of the log.
  const int descriptor =
      ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0644);
  if (descriptor < 0)
    throw UserError(fmt::format("{}: cannot be written: {}", path.string(), std::strerror(errno)));
  ::close(descriptor);
  try {
    return Log(
        std::make_shared<Sink>(std::make_shared<spdlog::sinks::basic_file_sink_mt>(path.string())));
  } catch (const spdlog::spdlog_ex&) {
    throw UserError(fmt::format("{}: cannot be written: {}", path.string(), std::strerror(errno)));
  }
}

Log Log::to_standard_error() {
  return Log(std::make_shared<Sink>(std::make_shared<spdlog::sinks::stderr_sink_mt>()));
}

void Log::info(const std::string& text) const {
  if (sink_) sink_->write(spdlog::level::info, text);
}
void Log::warning(const std::string& text) const {
  if (sink_) sink_->write(spdlog::level::warn, text);
}
void Log::error(const std::string& text) const {
  if (sink_) sink_->write(spdlog::level::err, text);
}

}  // namespace lateral
