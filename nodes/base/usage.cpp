// Memory and processor time of this process, from the kernel.
#include "nodes/base/usage.hpp"

#include <sys/resource.h>

namespace lateral {

Usage own_usage() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + 1e-6 * static_cast<double>(t.tv_usec);
  };
  constexpr std::uint64_t kibibyte = 1024;  // the unit of ru_maxrss
  return {static_cast<std::uint64_t>(usage.ru_maxrss) * kibibyte,
          seconds(usage.ru_utime) + seconds(usage.ru_stime)};
}

}  // namespace lateral
