// One contract for every kind of link: in memory, over Unix-domain sockets, over TCP, over TLS.
#include "transport/link.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <boost/asio/local/connect_pair.hpp>
#include <boost/asio/write.hpp>
#include <functional>
#include <thread>

#include "tests/support/run.hpp"
#include "transport/endpoint.hpp"
#include "transport/memory_link.hpp"
#include "transport/task.hpp"
#include "transport/tcp.hpp"
#include "transport/tls.hpp"

namespace lateral {
namespace {

using Links = std::pair<std::unique_ptr<Link>, std::unique_ptr<Link>>;
constexpr FrameLimits wide{header_bytes_max, std::size_t{64} << 20};

awaitable<void> accept_into(Listener& listener, std::unique_ptr<Link>& link) {
  Socket socket = co_await listener.accept();
  link = make_socket_link(std::move(socket), "a");
}
awaitable<void> dial_into(std::string address, std::unique_ptr<Link>& link) {
  Socket socket = co_await dial(address);
  link = make_socket_link(std::move(socket), "b");
}

const Secret secret{1, 2, 3};

/// Number of sockets that a child process would inherit.
int inherited() {
  int count = 0;
  for (int descriptor = 0; descriptor < 256; ++descriptor) {
    const int flags = ::fcntl(descriptor, F_GETFD);
    struct stat info {};
    count += flags >= 0 && (flags & FD_CLOEXEC) == 0 && ::fstat(descriptor, &info) == 0 &&
             S_ISSOCK(info.st_mode);
  }
  return count;
}

awaitable<void> both(awaitable<void> first, awaitable<void> second) {
  auto executor = co_await asio::this_coro::executor;
  auto [order, failure_a, failure_b] =
      co_await asio::experimental::make_parallel_group(
          asio::co_spawn(executor, std::move(first), asio::deferred),
          asio::co_spawn(executor, std::move(second), asio::deferred))
          .async_wait(asio::experimental::wait_for_all(), use_awaitable);
  if (failure_a) std::rethrow_exception(failure_a);
  if (failure_b) std::rethrow_exception(failure_b);
}

awaitable<void> accept_tls(Listener& listener, std::unique_ptr<Link>& link) {
  const Tls tls{secret};
  Socket socket = co_await listener.accept();
  link = co_await tls.answer(std::move(socket), "a");
}
awaitable<void> dial_tls(std::string address, std::unique_ptr<Link>& link) {
  const Tls tls{secret};
  Socket socket = co_await dial(address);
  link = co_await tls.dial(std::move(socket), "b");
}

Links make_links(asio::io_context& io, const std::string& kind) {
  Links links;
  if (kind == "memory") {
    links = make_memory_links(io.get_executor(), "a", "b");
  } else {
    const std::string address = kind == "unix"
                                    ? "unix:/tmp/lateral-link-test-" + std::to_string(getpid())
                                    : "tcp:127.0.0.1:0";
    Listener listener{io.get_executor(), address};
    if (kind == "tls") {
      run(io, both(dial_tls(listener.address(), links.first), accept_tls(listener, links.second)));
      links.first->set_limits(wide);
      links.second->set_limits(wide);
      return links;
    }
    run(io, dial_into(listener.address(), links.first));
    run(io, accept_into(listener, links.second));
  }
  links.first->set_limits(wide);
  links.second->set_limits(wide);
  return links;
}

/// Calls `test` once for each kind of link.
void for_each_kind(const std::function<void(asio::io_context&, Links)>& test) {
  for (const char* kind : {"memory", "unix", "tcp", "tls"}) {
    CAPTURE(kind);
    asio::io_context io{1};
    test(io, make_links(io, kind));
  }
}

Message numbered(std::uint64_t step, std::size_t values) {
  Message message;
  message.header.mutable_signal()->set_step(step);
  if (values > 0) message.header.add_shape(static_cast<std::uint32_t>(values));
  message.body = Block(values);
  for (std::size_t i = 0; i < values; ++i)
    message.body.data()[i] = static_cast<float>(step * 1000 + i % 1000);
  return message;
}

awaitable<void> send_all(Link& link, int count, std::size_t values) {
  for (int i = 0; i < count; ++i) {
    Message message = numbered(static_cast<std::uint64_t>(i), values);
    co_await link.send(std::move(message));
  }
}
awaitable<void> receive_all(Link& link, int count, std::size_t values, int& received) {
  for (int i = 0; i < count; ++i) {
    const Message message = co_await link.receive();
    const Message expected = numbered(static_cast<std::uint64_t>(i), values);
    CHECK(message.header.SerializeAsString() == expected.header.SerializeAsString());
    CHECK(std::equal(message.body.values().begin(), message.body.values().end(),
                     expected.body.values().begin(), expected.body.values().end()));
    ++received;
  }
}
awaitable<void> receive_one(Link& link) { co_await link.receive(); }
awaitable<void> receive_within(Link& link, Duration limit) {
  co_await with_deadline(limit, receive_one(link));
}
awaitable<void> send_one(Link& link, Message message) { co_await link.send(std::move(message)); }

TEST_CASE("messages arrive complete and in order, whatever their size") {
  for_each_kind([](asio::io_context& io, Links links) {
    for (const std::size_t values :
         {std::size_t{0}, std::size_t{1}, std::size_t{1000}, std::size_t{300000}}) {
      CAPTURE(values);
      const int count = values > 1000 ? 5 : 300;
      int received = 0;
      run(io, both(send_all(*links.first, count, values),
                   receive_all(*links.second, count, values, received)));
      CHECK(received == count);
    }
  });
}

TEST_CASE("messages are sent in both directions at the same time") {
  for_each_kind([](asio::io_context& io, Links links) {
    int up = 0, down = 0;
    run(io,
        both(both(send_all(*links.first, 20, 50000), receive_all(*links.first, 20, 40000, down)),
             both(send_all(*links.second, 20, 40000), receive_all(*links.second, 20, 50000, up))));
    CHECK(up == 20);
    CHECK(down == 20);
  });
}

TEST_CASE("sent messages and bytes of frames are counted") {
  for_each_kind([](asio::io_context& io, Links links) {
    int received = 0;
    run(io, both(send_all(*links.first, 3, 10), receive_all(*links.second, 3, 10, received)));
    CHECK(links.first->messages_sent() == 3);
    std::size_t bytes = 0;
    for (std::uint64_t i = 0; i < 3; ++i) {
      const Message message = numbered(i, 10);
      bytes += encode_head(message).size() + message.body.bytes();
    }
    CHECK(links.first->bytes_sent() == bytes);
    CHECK(links.second->messages_sent() == 0);
  });
}

TEST_CASE("messages sent before a close are received, then the end of file") {
  for_each_kind([](asio::io_context& io, Links links) {
    run(io, send_all(*links.first, 2, 100));
    links.first->close();
    int received = 0;
    run(io, receive_all(*links.second, 2, 100, received));
    CHECK(received == 2);
    CHECK(code_of([&] { run(io, receive_one(*links.second)); }) == asio::error::eof);
  });
}

TEST_CASE("a message above the limits of the receiver is refused") {
  for_each_kind([](asio::io_context& io, Links links) {
    links.second->set_limits({header_bytes_max, 400});
    int received = 0;
    run(io, both(send_all(*links.first, 1, 100), receive_all(*links.second, 1, 100, received)));
    run(io, send_one(*links.first, numbered(1, 101)));
    CHECK(code_of([&] { run(io, receive_one(*links.second)); }) == TransportError::body_too_large);
  });
  for_each_kind([](asio::io_context& io, Links links) {
    links.second->set_limits({8, 0});
    Message message;
    message.header.mutable_failed()->set_message("a header of more than eight bytes");
    run(io, send_one(*links.first, std::move(message)));
    CHECK(code_of([&] { run(io, receive_one(*links.second)); }) ==
          TransportError::header_too_large);
  });
}

TEST_CASE("a body that does not match its shape is refused") {
  for_each_kind([](asio::io_context& io, Links links) {
    Message message = numbered(1, 6);
    message.header.set_shape(0, 7);
    run(io, send_one(*links.first, std::move(message)));
    CHECK(code_of([&] { run(io, receive_one(*links.second)); }) == TransportError::shape_mismatch);
  });
}

TEST_CASE(
    "a receiver that does not read slows the sender down; nothing is lost and memory stays "
    "bounded") {
  for_each_kind([](asio::io_context& io, Links links) {
    constexpr int count = 40;
    constexpr std::size_t values = 100000;  // 16 MB in all, more than any socket buffer
    std::exception_ptr failure;
    bool sent = false;
    asio::co_spawn(io, send_all(*links.first, count, values),
                   [&](const std::exception_ptr& thrown) {
                     failure = thrown;
                     sent = true;
                   });
    CHECK(code_of([&] { run(io, receive_within(*links.first, std::chrono::milliseconds{300})); }) ==
          asio::error::timed_out);  // there is no message to `first`
    CHECK_FALSE(sent);
    CHECK(links.first->messages_sent() < count);
    int received = 0;
    run(io, receive_all(*links.second, count, values, received));
    io.restart();
    io.run_for(std::chrono::seconds{1});
    CHECK(received == count);
    CHECK(sent);
    CHECK_FALSE(failure);
  });
}

awaitable<void> write_and_close(std::string address, std::string bytes) {
  Socket socket = co_await dial(address);
  const asio::const_buffer buffer = asio::buffer(bytes);
  co_await asio::async_write(socket, buffer, use_awaitable);
}

TEST_CASE("each kind of invalid bytes has an error of its own") {
  Message message = numbered(1, 6);
  const std::string head = encode_head(message);
  const std::string body(message.body.bytes(), '\1');
  const auto changed = [&](std::size_t at, char to) {
    std::string bytes = head + body;
    bytes[at] = to;
    return bytes;
  };
  const struct {
    const char* what;
    std::string bytes;
    error_code refusal;
  } cases[] = {
      {"a complete message", head + body, {}},
      {"nothing", "", asio::error::eof},
      {"a truncated prefix", head.substr(0, 10), asio::error::eof},
      {"a truncated header", head.substr(0, head.size() - 1), asio::error::eof},
      {"a truncated body", head + body.substr(1), asio::error::eof},
      {"another magic", changed(0, 'X'), TransportError::bad_magic},
      {"a header above the limit", changed(6, '\x11'), TransportError::header_too_large},
      {"a body above the limit", changed(12, '\x01'), TransportError::body_too_large},
      {"an invalid header", changed(16, '\xff'), TransportError::malformed_header},
      {"a body that does not match its shape", changed(8, '\x14'), TransportError::shape_mismatch},
  };
  for (const auto& [what, bytes, refusal] : cases) {
    CAPTURE(what);
    asio::io_context io{1};
    Listener listener{io.get_executor(), "tcp:127.0.0.1:0"};
    std::unique_ptr<Link> link;
    run(io, both(write_and_close(listener.address(), bytes), accept_into(listener, link)));
    link->set_limits(wide);
    CHECK(code_of([&] { run(io, receive_one(*link)); }) == refusal);
  }
}

TEST_CASE("an idle connection, or one whose receiver does not read, has not stalled") {
  asio::io_context io;
  using Tcp = asio::ip::tcp;
  Tcp::acceptor acceptor{io, {asio::ip::address_v4::loopback(), 0}};
  Tcp::socket sender{io}, reader{io};
  sender.connect(acceptor.local_endpoint());
  acceptor.accept(reader);
  const auto stalled = [](int socket) { return has_stalled(tcp_state(socket).value(), 0); };
  CHECK(!stalled(sender.native_handle()));
  sender.non_blocking(true);
  const std::vector<char> much(1 << 16);
  error_code full;
  while (!full) sender.write_some(asio::buffer(much), full);
  CHECK(full == asio::error::would_block);
  for (int i = 0; i < 10; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds{50});
    CHECK(!stalled(sender.native_handle()));
  }
  asio::local::stream_protocol::socket one{io}, other{io};
  asio::local::connect_pair(one, other);
  CHECK(!tcp_state(one.native_handle()));
}

TEST_CASE(
    "an unacknowledged connection has stalled, after a limit that grows with unproductive "
    "reconnects") {
  using std::chrono::milliseconds;
  CHECK(!has_stalled({true, milliseconds{249}, {}}, 0));
  CHECK(has_stalled({true, milliseconds{250}, {}}, 0));
  CHECK(!has_stalled({false, milliseconds{250}, {}}, 0));
  CHECK(!has_stalled({true, milliseconds{649}, milliseconds{100}}, 0));
  CHECK(has_stalled({true, milliseconds{650}, milliseconds{100}}, 0));
  CHECK(!has_stalled({true, milliseconds{999}, {}}, 2));
  CHECK(has_stalled({true, milliseconds{1000}, {}}, 2));
  CHECK(has_stalled({true, milliseconds{16000}, {}}, 1000));
}

TEST_CASE("child processes do not inherit sockets") {
  for (const char* address : {"unix:/tmp/lateral-inherited-test", "tcp:127.0.0.1:0"}) {
    CAPTURE(address);
    asio::io_context io{1};
    const auto before = inherited();
    Listener listener{io.get_executor(), address};
    std::unique_ptr<Link> first, second;
    run(io, dial_into(listener.address(), first));
    run(io, accept_into(listener, second));
    CHECK(inherited() == before);
  }
}

TEST_CASE("an invalid address is refused") {
  asio::io_context io{1};
  for (const char* address :
       {"", "tcp:", "tcp:127.0.0.1", "tcp:localhost:80", "tcp:127.0.0.1:99999", "udp:1.2.3.4:5",
        "tcp:127.0.0.1:12x", "tcp:0.0.0.0:0", "tcp:::0"}) {
    CAPTURE(address);
    CHECK(code_of([&] { Listener(io.get_executor(), address); }) == TransportError::bad_address);
  }
}

}  // namespace
}  // namespace lateral
