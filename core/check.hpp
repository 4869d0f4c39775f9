// LATERAL_CHECK: an invariant of our own code; false means a bug of ours.
#pragma once

#include <stdexcept>
#include <string>

namespace lateral {

/// Thrown by LATERAL_CHECK; the program ends with exit code 1 (our bug).
struct InvariantViolated : std::logic_error {
  using std::logic_error::logic_error;
};

}  // namespace lateral

/// One condition per check. Holds in every build.
#define LATERAL_CHECK(condition)                                                                  \
  do {                                                                                            \
    if (!(condition))                                                                             \
      throw ::lateral::InvariantViolated(std::string(__FILE__) + ":" + std::to_string(__LINE__) + \
                                         ": broken invariant: " #condition);                      \
  } while (false)
