// The exit code of each exception. Separate from failure.cpp, since only this file needs
// transport/.
#include <fmt/format.h>

#include <filesystem>
#include <new>

#include "nodes/base/failure.hpp"
#include "transport/error.hpp"

namespace lateral {

Failure describe_failure(const std::exception_ptr& exception) {
  try {
    std::rethrow_exception(exception);
  } catch (const UserError& error) {
    return {ExitCode::user_error, one_line(error.what())};
  } catch (const NumericsError& error) {
    return {ExitCode::numerics, one_line(error.what())};
  } catch (const NetworkError& error) {
    return {ExitCode::network, one_line(error.what())};
  } catch (const boost::system::system_error& error) {
    if (error.code() == TransportError::bad_address)
      return {ExitCode::user_error, one_line(describe(error))};
    return {ExitCode::network, one_line(describe(error))};
  } catch (const std::filesystem::filesystem_error& error) {
    return {ExitCode::user_error, one_line(error.what())};
  } catch (const std::bad_alloc&) {
    return {ExitCode::user_error,
            "out of memory: `lateral check` prints how much memory a network needs"};
  } catch (const std::exception& error) {
    return {ExitCode::internal_error, fmt::format("internal error: {}", one_line(error.what()))};
  }
}

}  // namespace lateral
