// The order of the checks, and the deadline around them.
#include "transport/authenticate.hpp"

#include "transport/task.hpp"

namespace lateral {
namespace {

bool needs_tls(const Socket& socket, const Credentials& credentials) {
  return !credentials.plain_tcp && leaves_machine(socket);
}

awaitable<std::unique_ptr<Link>> authenticate_dialler(Socket socket, Credentials credentials,
                                                      Identity self, Identity peer) {
  check_user(socket, peer.name);
  std::unique_ptr<Link> link;
  if (needs_tls(socket, credentials)) {
    const Tls tls{credentials.secret};
    link = co_await tls.dial(std::move(socket), peer.name);
  } else {
    link = make_socket_link(std::move(socket), peer.name);
  }
  co_await handshake_as_dialler(*link, std::move(credentials), std::move(self), std::move(peer));
  co_return link;
}

awaitable<AuthenticatedPeer> authenticate_dialled(Socket socket, std::string caller,
                                                  Credentials credentials, std::optional<Tls>& tls,
                                                  Identity self,
                                                  std::function<bool(const Identity&)> expects) {
  check_user(socket, caller);
  AuthenticatedPeer peer;
  if (needs_tls(socket, credentials)) {
    if (!tls) tls.emplace(credentials.secret);
    peer.link = co_await tls->answer(std::move(socket), std::move(caller));
  } else {
    peer.link = make_socket_link(std::move(socket), std::move(caller));
  }
  peer.identity = co_await handshake_as_dialled(*peer.link, std::move(credentials), std::move(self),
                                                std::move(expects));
  peer.link->set_peer(peer.identity.name);
  co_return peer;
}

}  // namespace

awaitable<std::unique_ptr<Link>> authenticate_as_dialler(Socket socket, Credentials credentials,
                                                         Identity self, Identity peer) {
  std::unique_ptr<Link> link = co_await with_deadline(
      handshake_max, authenticate_dialler(std::move(socket), std::move(credentials),
                                          std::move(self), std::move(peer)));
  co_return link;
}

awaitable<AuthenticatedPeer> authenticate_as_dialled(Socket socket, std::string caller,
                                                     Credentials credentials,
                                                     std::optional<Tls>& tls, Identity self,
                                                     std::function<bool(const Identity&)> expects) {
  AuthenticatedPeer peer = co_await with_deadline(
      handshake_max,
      authenticate_dialled(std::move(socket), std::move(caller), std::move(credentials), tls,
                           std::move(self), std::move(expects)));
  co_return peer;
}

}  // namespace lateral
