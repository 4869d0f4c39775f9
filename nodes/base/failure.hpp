// The ways a run can fail, each with its exit code and one line of text for the user.
#pragma once

#include <exception>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>

namespace lateral {

/// What the program returns to the shell; listed in nodes/coordinator/FAILURES.md.
enum class ExitCode : int {
  done = 0,
  internal_error = 1,
  user_error = 2,  ///< a flag, an experiment, data or a checkpoint
  network = 3,     ///< a node was lost
  numerics = 4,    ///< diverged, or did not settle under decorrelation.unsettled: stop
};

/// The exit code of a failure that a process reports of itself; nothing for a number that is none,
/// among them that of success.
std::optional<ExitCode> failure_code(int number);

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

/// Bytes of the text with which a node reports a failure; what is longer is cut.
inline constexpr std::size_t failure_text_bytes_max = 4096;

/// The exit code and the line of text for any exception.
Failure describe_failure(const std::exception_ptr& exception);

/// `text` on one line, so that text from a peer or a binary file can neither disturb a terminal or
/// a log nor look like other text: a line feed becomes a space; other control characters (C0, C1),
/// marks of writing direction, invisible and line separators become '?'; a byte that is not part of
/// UTF-8 becomes "\xe9".
std::string one_line(std::string text);

/// Whether `text` is UTF-8 throughout.
bool is_utf8(std::string_view text);

}  // namespace lateral
