// The machine's clock.
#include "nodes/launch/log_line.hpp"

#include <chrono>
#include <cstdio>
#include <ctime>

#include "nodes/base/failure.hpp"

namespace lateral {

std::string log_line(const std::string& text) {
  using namespace std::chrono;
  const auto now = time_point_cast<milliseconds>(system_clock::now());
  const std::time_t seconds = system_clock::to_time_t(now);
  std::tm utc{};
  ::gmtime_r(&seconds, &utc);
  char time[32];
  const std::size_t size = std::strftime(time, sizeof time, "%FT%T", &utc);
  std::snprintf(time + size, sizeof time - size, ".%03dZ ",
                static_cast<int>(now.time_since_epoch().count() % 1000));
  return time + one_line(text);
}

}  // namespace lateral
