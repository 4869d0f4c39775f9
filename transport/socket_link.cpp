// Frames over a bare socket.
#include "transport/socket_link.hpp"

#include "transport/frame_link.hpp"

namespace lateral {

std::unique_ptr<Link> make_socket_link(Socket socket, std::string peer) {
  return std::make_unique<FrameLink<Socket>>(std::move(socket), std::move(peer));
}

}  // namespace lateral
