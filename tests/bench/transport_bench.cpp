// Speed of links compared with other transports between processes: transport_bench [--quick] prints
// CSV.
//
// p50_us, p99_us   half of a round trip of 64 bytes
// gb_per_s         messages of 256 x 1000 float32, one way; the receiver gets each as one block of
// memory
//
// Each figure is the median over repetitions, in which the transports take turns. Processes are not
// pinned: some transports have threads of their own, and the scheduler places them best.
#include <fcntl.h>
#include <malloc.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <vector>

#include "tests/support/run.hpp"
#include "transport/endpoint.hpp"
#include "transport/tls.hpp"

#ifdef LATERAL_BENCH_ZEROMQ
#include <zmq.h>
#endif
#ifdef LATERAL_BENCH_GRPC
#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>
#endif

namespace lateral {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t small_bytes = 64;
constexpr std::uint32_t large_rows = 256, large_cols = 1000;
constexpr std::size_t large_bytes = std::size_t{large_rows} * large_cols * sizeof(float);
constexpr int warm_up_trips = 300, warm_up_messages = 30;
/// Time limit of one repetition of one transport.
constexpr std::chrono::seconds repetition_max{20};

struct Plan {
  int repetitions, round_trips, messages;
};
constexpr Plan quick_plan{3, 4000, 300};
constexpr Plan full_plan{7, 20000, 1500};

struct Result {
  double p50_us, p99_us, gb_per_s;
};

/// The content of large messages, for all transports: memory that has been written before.
const std::vector<float>& content() {
  static const std::vector<float> values(large_bytes / sizeof(float), 1.0F);
  return values;
}

double seconds_since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

Result summarise(std::vector<double> trips_us, double seconds, int messages) {
  std::sort(trips_us.begin(), trips_us.end());
  return {trips_us[trips_us.size() / 2] / 2, trips_us[trips_us.size() * 99 / 100] / 2,
          1e-9 * static_cast<double>(large_bytes) * messages / seconds};
}

[[noreturn]] void fail(const std::string& what) { throw std::runtime_error(what); }

void check_call(bool succeeded, const char* call) {
  if (!succeeded) fail(std::string(call) + ": " + std::strerror(errno));
}

/// How the two processes of a measurement find each other.
struct Rendezvous {
  std::string folder;  // for the files of Unix sockets
  int read_end, write_end;

  std::string path() const { return folder + "/socket"; }
  void announce(const std::string& address) const {
    const std::string line = address + "\n";
    check_call(write(write_end, line.data(), line.size()) > 0, "write");
  }
  std::string await_address() const {
    std::string address;
    for (char c; check_call(read(read_end, &c, 1) == 1, "read"), c != '\n';) address += c;
    return address;
  }
};

// ---- The measurement over anything with blocking calls send(bytes) and receive(bytes).

template <class Channel>
void serve_blocking(Channel& channel, const Plan& plan) {
  for (int i = 0; i < warm_up_trips + plan.round_trips; ++i) {
    channel.receive(small_bytes);
    channel.send(small_bytes);
  }
  for (const int messages : {warm_up_messages, plan.messages}) {
    for (int i = 0; i < messages; ++i) channel.receive(large_bytes);
    channel.send(small_bytes);
  }
}

template <class Channel>
Result measure_blocking(Channel& channel, const Plan& plan) {
  std::vector<double> trips_us;
  for (int i = 0; i < warm_up_trips + plan.round_trips; ++i) {
    const auto begin = Clock::now();
    channel.send(small_bytes);
    channel.receive(small_bytes);
    if (i >= warm_up_trips) trips_us.push_back(1e6 * seconds_since(begin));
  }
  double seconds = 0;
  for (const int messages : {warm_up_messages, plan.messages}) {
    const auto begin = Clock::now();
    for (int i = 0; i < messages; ++i) channel.send(large_bytes);
    channel.receive(small_bytes);
    seconds = seconds_since(begin);
  }
  return summarise(std::move(trips_us), seconds, plan.messages);
}

// ---- lateral: the same measurement in coroutines, as nodes use links.

Message message_of(std::uint32_t rows, std::uint32_t cols) {
  Message message;
  message.header.mutable_signal()->set_step(1);
  message.header.add_shape(rows);
  message.header.add_shape(cols);
  message.body = Block(std::size_t{rows} * cols);
  return message;
}
Message small_message() { return message_of(1, small_bytes / sizeof(float)); }

/// Each message is moved to the link. Writing its content is not part of transport: only warm-up
/// messages are filled, and the allocator returns the same memory again.
Message large_message(bool filled) {
  Message message = message_of(large_rows, large_cols);
  if (filled) std::copy(content().begin(), content().end(), message.body.data());
  return message;
}

enum class Kind { unix_socket, tcp, tls };

awaitable<void> serve_link(const Rendezvous& rendezvous, Kind kind, const Plan& plan) {
  const std::string address =
      kind == Kind::unix_socket ? "unix:" + rendezvous.path() : "tcp:127.0.0.1:0";
  Listener listener{co_await asio::this_coro::executor, address};
  rendezvous.announce(listener.address());
  Socket socket = co_await listener.accept();
  std::unique_ptr<Link> link;
  if (kind == Kind::tls) {
    const Tls tls{Secret{}};
    link = co_await tls.answer(std::move(socket), "client");
  } else {
    link = make_socket_link(std::move(socket), "client");
  }
  link->set_limits({header_bytes_max, large_bytes});
  for (int i = 0; i < warm_up_trips + plan.round_trips; ++i) {
    Message message = co_await link->receive();
    co_await link->send(std::move(message));
  }
  for (const int messages : {warm_up_messages, plan.messages}) {
    for (int i = 0; i < messages; ++i) {
      const Message message = co_await link->receive();
      if (message.body.bytes() != large_bytes) fail("a message of the wrong size");
    }
    Message done = small_message();
    co_await link->send(std::move(done));
  }
}

awaitable<void> measure_link(std::string address, bool with_tls, const Plan& plan, Result& result) {
  Socket socket = co_await dial(address);
  std::unique_ptr<Link> link;
  if (with_tls) {
    const Tls tls{Secret{}};
    link = co_await tls.dial(std::move(socket), "server");
  } else {
    link = make_socket_link(std::move(socket), "server");
  }
  link->set_limits({header_bytes_max, large_bytes});
  std::vector<double> trips_us;
  for (int i = 0; i < warm_up_trips + plan.round_trips; ++i) {
    const auto begin = Clock::now();
    Message message = small_message();
    co_await link->send(std::move(message));
    const Message answer = co_await link->receive();
    if (i >= warm_up_trips) trips_us.push_back(1e6 * seconds_since(begin));
  }
  double seconds = 0;
  for (const int messages : {warm_up_messages, plan.messages}) {
    const auto begin = Clock::now();
    for (int i = 0; i < messages; ++i) {
      Message message = large_message(messages == warm_up_messages);
      co_await link->send(std::move(message));
    }
    const Message done = co_await link->receive();
    seconds = seconds_since(begin);
  }
  result = summarise(std::move(trips_us), seconds, plan.messages);
}

void serve_lateral(const Rendezvous& rendezvous, bool unix_socket, const Plan& plan) {
  asio::io_context io{1};
  run(io, serve_link(rendezvous, unix_socket ? Kind::unix_socket : Kind::tcp, plan),
      repetition_max);
}
Result measure_lateral(const std::string& address, bool, const Plan& plan) {
  asio::io_context io{1};
  Result result{};
  run(io, measure_link(address, false, plan, result), repetition_max);
  return result;
}
void serve_lateral_tls(const Rendezvous& rendezvous, bool, const Plan& plan) {
  asio::io_context io{1};
  run(io, serve_link(rendezvous, Kind::tls, plan), repetition_max);
}
Result measure_lateral_tls(const std::string& address, bool, const Plan& plan) {
  asio::io_context io{1};
  Result result{};
  run(io, measure_link(address, true, plan, result), repetition_max);
  return result;
}

// ---- The bare socket, an upper bound: the receiver knows each size in advance.

struct RawChannel {
  int descriptor;

  void send(std::size_t bytes) const {
    const char* at = reinterpret_cast<const char*>(content().data());
    for (std::size_t left = bytes; left > 0;) {
      const ssize_t sent = ::send(descriptor, at, left, MSG_NOSIGNAL);
      check_call(sent > 0, "send");
      at += sent;
      left -= static_cast<std::size_t>(sent);
    }
  }
  void receive(std::size_t bytes) const {
    Block block(bytes / sizeof(float));
    char* at = reinterpret_cast<char*>(block.data());
    for (std::size_t left = bytes; left > 0;) {
      const ssize_t received = ::recv(descriptor, at, left, MSG_WAITALL);
      check_call(received > 0, "recv");
      at += received;
      left -= static_cast<std::size_t>(received);
    }
  }
};

union SocketAddress {
  sockaddr any;
  sockaddr_un local;
  sockaddr_in internet;
};

SocketAddress local_address(const std::string& path) {
  SocketAddress address{};
  address.local.sun_family = AF_UNIX;
  std::strncpy(address.local.sun_path, path.c_str(), sizeof address.local.sun_path - 1);
  return address;
}
SocketAddress loopback_address(std::uint16_t port) {
  SocketAddress address{};
  address.internet.sin_family = AF_INET;
  address.internet.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.internet.sin_port = htons(port);
  return address;
}
socklen_t size_of(bool unix_socket) {
  return unix_socket ? sizeof(sockaddr_un) : sizeof(sockaddr_in);
}
void set_no_delay(int descriptor, bool unix_socket) {
  const int on = 1;
  if (!unix_socket) setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

void serve_raw(const Rendezvous& rendezvous, bool unix_socket, const Plan& plan) {
  const int listening = socket(unix_socket ? AF_UNIX : AF_INET, SOCK_STREAM, 0);
  SocketAddress address = unix_socket ? local_address(rendezvous.path()) : loopback_address(0);
  socklen_t length = size_of(unix_socket);
  check_call(bind(listening, &address.any, length) == 0, "bind");
  check_call(listen(listening, 1) == 0, "listen");
  if (!unix_socket) getsockname(listening, &address.any, &length);
  rendezvous.announce(unix_socket ? rendezvous.path()
                                  : std::to_string(ntohs(address.internet.sin_port)));
  RawChannel channel{accept(listening, nullptr, nullptr)};
  check_call(channel.descriptor >= 0, "accept");
  set_no_delay(channel.descriptor, unix_socket);
  serve_blocking(channel, plan);
}
Result measure_raw(const std::string& where, bool unix_socket, const Plan& plan) {
  RawChannel channel{socket(unix_socket ? AF_UNIX : AF_INET, SOCK_STREAM, 0)};
  const SocketAddress address =
      unix_socket ? local_address(where)
                  : loopback_address(static_cast<std::uint16_t>(std::stoi(where)));
  check_call(connect(channel.descriptor, &address.any, size_of(unix_socket)) == 0, "connect");
  set_no_delay(channel.descriptor, unix_socket);
  return measure_blocking(channel, plan);
}

// ---- ZeroMQ.
#ifdef LATERAL_BENCH_ZEROMQ

/// Large messages are sent without a copy. The default queue of 1000 messages is the fastest.
class ZeromqChannel {
 public:
  ZeromqChannel() : socket_{zmq_socket(zmq_ctx_new(), ZMQ_PAIR)} {
    check_call(socket_ != nullptr, "zmq_socket");
  }
  std::string listen(const std::string& address) {
    check_call(zmq_bind(socket_, address.c_str()) == 0, "zmq_bind");
    char endpoint[256];
    std::size_t size = sizeof endpoint;
    check_call(zmq_getsockopt(socket_, ZMQ_LAST_ENDPOINT, endpoint, &size) == 0, "zmq_getsockopt");
    return endpoint;
  }
  void connect(const std::string& address) {
    check_call(zmq_connect(socket_, address.c_str()) == 0, "zmq_connect");
  }
  void send(std::size_t bytes) {
    if (bytes == small_bytes) {
      check_call(zmq_send(socket_, content().data(), bytes, 0) >= 0, "zmq_send");
      return;
    }
    zmq_msg_t message;
    const auto keep = [](void*, void*) {};
    zmq_msg_init_data(&message, const_cast<float*>(content().data()), bytes, keep, nullptr);
    check_call(zmq_msg_send(&message, socket_, 0) >= 0, "zmq_msg_send");
  }
  void receive(std::size_t bytes) {
    zmq_msg_t message;
    zmq_msg_init(&message);
    check_call(zmq_msg_recv(&message, socket_, 0) >= 0, "zmq_msg_recv");
    if (zmq_msg_size(&message) != bytes) fail("a message of the wrong size");
    zmq_msg_close(&message);
  }

 private:
  void* socket_;
};

void serve_zeromq(const Rendezvous& rendezvous, bool unix_socket, const Plan& plan) {
  ZeromqChannel channel;
  rendezvous.announce(
      channel.listen(unix_socket ? "ipc://" + rendezvous.path() : "tcp://127.0.0.1:*"));
  serve_blocking(channel, plan);
}
Result measure_zeromq(const std::string& address, bool, const Plan& plan) {
  ZeromqChannel channel;
  channel.connect(address);
  return measure_blocking(channel, plan);
}

#endif
// ---- gRPC.
#ifdef LATERAL_BENCH_GRPC

/// A bidirectional stream of bytes (no Protocol Buffers to encode), driven by the completion queue
/// from the one thread that waits for it. The next read is always under way.
template <class Stream>
class GrpcChannel {
 public:
  GrpcChannel(grpc::CompletionQueue& queue, Stream& stream) : queue_{queue}, stream_{stream} {}

  void start_reading() { stream_.Read(&incoming_, tag(reading)); }
  void await(int operation) {
    while (!done_[operation]) {
      void* completed = nullptr;
      bool succeeded = false;
      if (!queue_.Next(&completed, &succeeded) || !succeeded) fail("gRPC: the stream broke");
      *static_cast<bool*>(completed) = true;
    }
    done_[operation] = false;
  }
  void send(std::size_t bytes) {
    const grpc::Slice slice(content().data(), bytes, grpc::Slice::STATIC_SLICE);
    stream_.Write(grpc::ByteBuffer(&slice, 1), tag(writing));
    await(writing);
  }
  void receive(std::size_t bytes) {
    await(reading);
    grpc::Slice whole;
    if (!incoming_.DumpToSingleSlice(&whole).ok() || whole.size() != bytes)
      fail("gRPC: a message of the wrong size");
    start_reading();
  }

  static constexpr int reading = 0, writing = 1, starting = 2;
  void* tag(int operation) { return &done_[operation]; }

 private:
  grpc::CompletionQueue& queue_;
  Stream& stream_;
  grpc::ByteBuffer incoming_;
  bool done_[3] = {};
};

/// A message in one frame (the largest size), and a window for many messages in flight.
constexpr int grpc_frame_bytes = (16 << 20) - 1, grpc_window_bytes = 64 << 20;

// A process of a measurement ends without destructors: hence `new`.

void serve_grpc(const Rendezvous& rendezvous, bool unix_socket, const Plan& plan) {
  using Stream = grpc::GenericServerAsyncReaderWriter;
  auto& service = *new grpc::AsyncGenericService;
  grpc::ServerBuilder builder;
  int port = 0;
  builder.AddListeningPort(unix_socket ? "unix:" + rendezvous.path() : "127.0.0.1:0",
                           grpc::InsecureServerCredentials(), &port);
  builder.RegisterAsyncGenericService(&service);
  builder.SetMaxMessageSize(-1);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MAX_FRAME_SIZE, grpc_frame_bytes);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_STREAM_LOOKAHEAD_BYTES, grpc_window_bytes);
  auto& queue = *builder.AddCompletionQueue().release();
  auto& server = *builder.BuildAndStart().release();
  static_cast<void>(server);
  auto& context = *new grpc::GenericServerContext;
  auto& stream = *new Stream(&context);
  auto& channel = *new GrpcChannel<Stream>(queue, stream);
  service.RequestCall(&context, &stream, &queue, &queue, channel.tag(channel.starting));
  rendezvous.announce(unix_socket ? "unix:" + rendezvous.path()
                                  : "127.0.0.1:" + std::to_string(port));
  channel.await(channel.starting);
  channel.start_reading();
  serve_blocking(channel, plan);
}
Result measure_grpc(const std::string& address, bool, const Plan& plan) {
  using Stream = grpc::GenericClientAsyncReaderWriter;
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(-1);
  arguments.SetInt(GRPC_ARG_HTTP2_MAX_FRAME_SIZE, grpc_frame_bytes);
  arguments.SetInt(GRPC_ARG_HTTP2_STREAM_LOOKAHEAD_BYTES, grpc_window_bytes);
  auto& stub = *new grpc::GenericStub(
      grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), arguments));
  auto& queue = *new grpc::CompletionQueue;
  auto& context = *new grpc::ClientContext;
  Stream& stream = *stub.PrepareCall(&context, "/bench/Stream", &queue).release();
  auto& channel = *new GrpcChannel<Stream>(queue, stream);
  stream.StartCall(channel.tag(channel.starting));
  channel.await(channel.starting);
  channel.start_reading();
  return measure_blocking(channel, plan);
}

#endif

// ---- All of them in turn.

struct Transport {
  const char* name;
  bool unix_socket;
  void (*serve)(const Rendezvous&, bool unix_socket, const Plan&);
  Result (*measure)(const std::string& address, bool unix_socket, const Plan&);
};

constexpr Transport transports[] = {
    {"lateral_unix", true, serve_lateral, measure_lateral},
    {"lateral_tcp", false, serve_lateral, measure_lateral},
    {"lateral_tls", false, serve_lateral_tls, measure_lateral_tls},
    {"raw_unix", true, serve_raw, measure_raw},
    {"raw_tcp", false, serve_raw, measure_raw},
#ifdef LATERAL_BENCH_ZEROMQ
    {"zeromq_ipc", true, serve_zeromq, measure_zeromq},
    {"zeromq_tcp", false, serve_zeromq, measure_zeromq},
#endif
#ifdef LATERAL_BENCH_GRPC
    {"grpc_unix", true, serve_grpc, measure_grpc},
    {"grpc_tcp", false, serve_grpc, measure_grpc},
#endif
};

/// Starts a child process that ends after `repetition_max` or with its parent.
template <class Work>
pid_t start_process(const char* name, Work&& work) {
  std::fflush(nullptr);
  const pid_t child = fork();
  check_call(child >= 0, "fork");
  if (child > 0) return child;
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  alarm(static_cast<unsigned>(repetition_max.count()));
  try {
    work();
  } catch (const std::exception& failure) {
    std::fprintf(stderr, "%s: %s\n", name, failure.what());
    _exit(1);
  }
  _exit(0);
}

/// Both sides are child processes, so that no library has threads at the time of fork().
Result measure(const Transport& transport, const Plan& plan) {
  char folder[] = "/tmp/lateral-bench-XXXXXX";
  check_call(mkdtemp(folder) != nullptr, "mkdtemp");
  int addresses[2], results[2];
  check_call(pipe2(addresses, O_CLOEXEC) == 0 && pipe2(results, O_CLOEXEC) == 0, "pipe2");
  const Rendezvous rendezvous{folder, addresses[0], addresses[1]};

  const pid_t server = start_process(transport.name, [&] {
    close(addresses[0]);
    close(results[1]);
    transport.serve(rendezvous, transport.unix_socket, plan);
    pause();  // its last messages may still be in flight
  });
  close(addresses[1]);
  const pid_t client = start_process(transport.name, [&] {
    const Result result =
        transport.measure(rendezvous.await_address(), transport.unix_socket, plan);
    check_call(write(results[1], &result, sizeof result) == sizeof result, "write");
  });
  close(addresses[0]);
  close(results[1]);

  Result result{};
  pollfd ended{results[0], POLLIN, 0};
  const bool measured = poll(&ended, 1, static_cast<int>(1000 * repetition_max.count())) > 0 &&
                        read(results[0], &result, sizeof result) == sizeof result;
  close(results[0]);
  for (const pid_t child : {server, client}) {
    kill(child, SIGKILL);
    waitpid(child, nullptr, 0);
  }
  std::filesystem::remove_all(folder);
  if (!measured) fail(std::string(transport.name) + ": no result");
  return result;
}

double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

int run_bench(const Plan& plan) {
#ifndef LATERAL_BENCH_ZEROMQ
  std::fprintf(stderr, "ZeroMQ is omitted: it was not found by the build (libzmq3-dev)\n");
#endif
#ifndef LATERAL_BENCH_GRPC
  std::fprintf(stderr, "gRPC is omitted: it was not found by the build (libgrpc++-dev)\n");
#endif
  std::vector<std::vector<Result>> results(std::size(transports));
  for (int repetition = 0; repetition < plan.repetitions; ++repetition)
    for (std::size_t t = 0; t < std::size(transports); ++t)
      results[t].push_back(measure(transports[t], plan));

  std::printf("transport,p50_us,p99_us,gb_per_s\n");
  for (std::size_t t = 0; t < std::size(transports); ++t) {
    const auto median_of = [&](double Result::*field) {
      std::vector<double> values;
      for (const Result& result : results[t]) values.push_back(result.*field);
      return median(std::move(values));
    };
    std::printf("%s,%.1f,%.1f,%.2f\n", transports[t].name, median_of(&Result::p50_us),
                median_of(&Result::p99_us), median_of(&Result::gb_per_s));
  }
  return 0;
}

}  // namespace
}  // namespace lateral

int main(int argc, char** argv) {
  const bool quick = argc == 2 && std::string(argv[1]) == "--quick";
  if (argc > 1 && !quick) return std::fprintf(stderr, "usage: transport_bench [--quick]\n"), 2;
  // As in the program: memory of messages is kept, which is best for every transport.
  mallopt(M_MMAP_THRESHOLD, 256 << 20);
  mallopt(M_TRIM_THRESHOLD, 512 << 20);
  try {
    return lateral::run_bench(quick ? lateral::quick_plan : lateral::full_plan);
  } catch (const std::exception& failure) {
    std::fprintf(stderr, "transport_bench: %s\n", failure.what());
    return 1;
  }
}
