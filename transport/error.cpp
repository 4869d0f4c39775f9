// The texts of transport errors.
#include "transport/error.hpp"

namespace lateral {
namespace {

class Category final : public boost::system::error_category {
 public:
  const char* name() const noexcept override { return "lateral.transport"; }
  std::string message(int value) const override {
    switch (static_cast<TransportError>(value)) {
      case TransportError::bad_magic:
        return "not a frame of this protocol";
      case TransportError::header_too_large:
        return "header larger than this link allows";
      case TransportError::body_too_large:
        return "body larger than this link allows";
      case TransportError::malformed_header:
        return "malformed header";
      case TransportError::shape_mismatch:
        return "body length does not match its shape";
      case TransportError::wrong_version:
        return "another version of the protocol";
      case TransportError::wrong_configuration:
        return "another configuration";
      case TransportError::wrong_peer:
        return "not a node that is expected here";
      case TransportError::wrong_secret:
        return "does not know the secret of this run";
      case TransportError::refused:
        return "refused by the peer";
      case TransportError::unexpected_message:
        return "unexpected message";
      case TransportError::bad_address:
        return "bad address";
      case TransportError::out_of_sequence:
        return "a message is missing";
      case TransportError::wrong_user:
        return "a process of another user";
      case TransportError::wrong_tls:
        return "no TLS 1.3 under the secret of this run";
    }
    return "unknown transport error";
  }
};

}  // namespace

const boost::system::error_category& transport_category() {
  static const Category category;
  return category;
}

void throw_transport(TransportError error, const std::string& detail) {
  throw boost::system::system_error(make_error_code(error), detail);
}

std::string describe(const boost::system::system_error& error) {
  // what() is "<detail>: <message> [<category>:<value> at …]".
  const std::string text = error.what();
  const std::string meaning = error.code().message();
  const std::size_t at = text.rfind(meaning);
  return at == std::string::npos ? text : text.substr(0, at + meaning.size());
}

}  // namespace lateral
