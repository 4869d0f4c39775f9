// Which exception means which exit code.
#include "nodes/base/failure.hpp"

#include <boost/system/system_error.hpp>
#include <filesystem>

#include "nodes/data/dataset.hpp"
#include "transport/error.hpp"

namespace lateral {

void throw_diverged(const std::string& what) {
  throw NumericsError(
      what +
      ": the network has diverged; expected finite numbers (learning_rate, "
      "decorrelation.learning_rate, decorrelation.gain and learning.sigma are where to look)");
}

Failure describe_failure(const std::exception_ptr& exception) {
  try {
    std::rethrow_exception(exception);
  } catch (const UserError& error) {
    return {ExitCode::user_mistake, one_line(error.what())};
  } catch (const DataError& error) {
    return {ExitCode::user_mistake, one_line(error.what())};
  } catch (const NumericsError& error) {
    return {ExitCode::numerics, one_line(error.what())};
  } catch (const NetworkError& error) {
    return {ExitCode::network, one_line(error.what())};
  } catch (const boost::system::system_error& error) {
    if (error.code() == TransportError::bad_address)
      return {ExitCode::user_mistake, one_line(describe(error))};
    return {ExitCode::network, one_line(describe(error))};
  } catch (const std::filesystem::filesystem_error& error) {
    return {ExitCode::user_mistake, one_line(error.what())};
  } catch (const std::bad_alloc&) {
    return {ExitCode::user_mistake, "out of memory: `lateral check` tells what a network needs"};
  } catch (const std::exception& error) {
    return {ExitCode::our_bug, "internal error: " + one_line(error.what())};
  }
}

std::string one_line(std::string text) {
  for (char& c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7f) c = c == '\n' ? ' ' : '?';
  }
  while (!text.empty() && text.back() == ' ') text.pop_back();
  return text;
}

}  // namespace lateral
