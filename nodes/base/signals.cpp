// Asking the system for the actions of signals.
#include "nodes/base/signals.hpp"

#include <csignal>

namespace lateral {
namespace {

bool is_ignored(int signal) {
  struct sigaction action {};
  return ::sigaction(signal, nullptr, &action) == 0 && action.sa_handler == SIG_IGN;
}

}  // namespace

std::vector<int> stop_signals() {
  std::vector<int> signals{SIGINT};
  for (const int signal : {SIGTERM, SIGHUP})
    if (!is_ignored(signal)) signals.push_back(signal);
  return signals;
}

}  // namespace lateral
