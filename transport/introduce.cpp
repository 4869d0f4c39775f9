// The order of the checks, and the deadline around them.
#include "transport/introduce.hpp"

#include "transport/task.hpp"

namespace lateral {
namespace {

bool needs_tls(const Socket& socket, const Credentials& credentials) {
  return !credentials.plain_tcp && leaves_machine(socket);
}

awaitable<std::unique_ptr<Link>> introduce_self(Socket socket, Credentials credentials,
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

awaitable<Visitor> admit_visitor(Socket socket, std::string who, Credentials credentials,
                                 std::optional<Tls>& tls, Identity self,
                                 std::function<bool(const Identity&)> expects) {
  check_user(socket, who);
  Visitor visitor;
  if (needs_tls(socket, credentials)) {
    if (!tls) tls.emplace(credentials.secret);
    visitor.link = co_await tls->answer(std::move(socket), std::move(who));
  } else {
    visitor.link = make_socket_link(std::move(socket), std::move(who));
  }
  visitor.identity = co_await handshake_as_dialled(*visitor.link, std::move(credentials),
                                                   std::move(self), std::move(expects));
  visitor.link->set_peer(visitor.identity.name);
  co_return visitor;
}

}  // namespace

awaitable<std::unique_ptr<Link>> introduce(Socket socket, Credentials credentials, Identity self,
                                           Identity peer) {
  std::unique_ptr<Link> link = co_await with_deadline(
      handshake_max,
      introduce_self(std::move(socket), std::move(credentials), std::move(self), std::move(peer)));
  co_return link;
}

awaitable<Visitor> admit(Socket socket, std::string who, Credentials credentials,
                         std::optional<Tls>& tls, Identity self,
                         std::function<bool(const Identity&)> expects) {
  Visitor visitor = co_await with_deadline(
      handshake_max, admit_visitor(std::move(socket), std::move(who), std::move(credentials), tls,
                                   std::move(self), std::move(expects)));
  co_return visitor;
}

}  // namespace lateral
