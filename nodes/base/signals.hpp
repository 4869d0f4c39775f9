// Signals as the process found them when it was started.
#pragma once

#include <vector>

namespace lateral {

/// The signals that ask the program to stop: SIGINT, SIGTERM and SIGHUP, but for those of the last
/// two that were ignored when it was started, as `nohup` does with SIGHUP. SIGINT is always
/// handled: shells start every background command of a script with SIGINT ignored.
std::vector<int> stop_signals();

}  // namespace lateral
