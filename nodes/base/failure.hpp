// The ways a run can fail, each with its exit code and one line of text for the user.
#pragma once

#include <exception>
#include <stdexcept>
#include <string>

namespace lateral {

/// What the program returns to the shell; listed in nodes/coordinator/FAILURES.md.
enum class ExitCode : int {
  done = 0,
  internal_error = 1,
  user_error = 2,  ///< a flag, an experiment, data or a checkpoint
  network = 3,     ///< a node was lost
  numerics = 4,    ///< diverged, or did not settle under decorrelation.unsettled: stop
};

/// what() of each is one line: what is wrong where, its value, and what was expected.
struct UserError : std::runtime_error {
  using std::runtime_error::runtime_error;
};
struct NumericsError : std::runtime_error {
  using std::runtime_error::runtime_error;
};
struct NetworkError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// Throws NumericsError for a quantity that is not finite. `what` names the quantity; the message
/// adds which settings to check.
[[noreturn]] void throw_diverged(const std::string& what);

struct Failure {
  ExitCode code;
  std::string message;
};

/// The exit code and the line of text for any exception.
Failure describe_failure(const std::exception_ptr& exception);

/// `text` on one line, with every unprintable byte replaced by '?', so that text from a peer or a
/// binary file cannot disturb a terminal or a log.
std::string one_line(std::string text);

}  // namespace lateral
