// Memory and processor time that this process has used so far.
#pragma once

#include <cstdint>

namespace lateral {

struct Usage {
  std::uint64_t peak_rss_bytes = 0;
  double cpu_seconds = 0;
};
Usage own_usage();

}  // namespace lateral
