// The errors of the transport, as codes and as the exception that carries them.
#pragma once

#include <boost/system/error_category.hpp>
#include <boost/system/error_code.hpp>
#include <boost/system/system_error.hpp>
#include <string>

namespace lateral {

enum class TransportError {
  bad_magic = 1,        ///< not a frame of this protocol
  header_too_large,     ///< header longer than the link allows
  body_too_large,       ///< body longer than the link allows
  malformed_header,     ///< not a wire.Header
  shape_mismatch,       ///< the length of the body does not match its shape
  wrong_version,        ///< the peer uses another version of the protocol
  wrong_configuration,  ///< the peer runs another experiment
  wrong_peer,           ///< not a node that was expected here
  wrong_secret,         ///< the peer does not know the secret of the run
  refused,              ///< the peer refused the connection
  unexpected_message,   ///< a message of a kind that is not expected now
  bad_address,          ///< an address that cannot be parsed
  out_of_sequence,      ///< a message is missing
  wrong_user,           ///< a process of another user of this machine
  wrong_tls,            ///< no TLS 1.3 under the secret of the run
};

const boost::system::error_category& transport_category();
inline boost::system::error_code make_error_code(TransportError error) {
  return {static_cast<int>(error), transport_category()};
}

/// what() is "<detail>: <meaning of the code>".
[[noreturn]] void throw_transport(TransportError error, const std::string& detail);

/// what() without the category and source location that it ends with.
std::string describe(const boost::system::system_error& error);

}  // namespace lateral

template <>
struct boost::system::is_error_code_enum<lateral::TransportError> : std::true_type {};
