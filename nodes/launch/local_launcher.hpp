// LocalLauncher: starts every node as a process of this machine.
#pragma once

#include <boost/asio/signal_set.hpp>
#include <map>
#include <optional>
#include <string>

#include "nodes/base/log.hpp"
#include "nodes/launch/children.hpp"
#include "nodes/launch/launcher.hpp"
#include "nodes/launch/node_reception.hpp"
#include "nodes/launch/socket_folder.hpp"
#include "nodes/results/run_directory.hpp"

namespace lateral {

/// Where nodes and coordinator listen.
struct LocalSockets {
  bool tcp = false;                    ///< false: Unix-domain sockets
  std::string tcp_host = "127.0.0.1";  ///< an address of this machine
  bool plain_tcp = false;              ///< without TLS, also if it is not a loopback address
};

class LocalLauncher final : public Launcher {
 public:
  /// `directory`: for the logs of the nodes; none: they are deleted at the end. `log`: of the
  /// coordinator.
  LocalLauncher(const asio::any_io_executor& executor, const std::string& configuration_digest,
                const LocalSockets& sockets, std::optional<RunDirectory> directory, const Log& log);

  LauncherProperties properties() const override { return {true, true, SilenceLimits{}}; }
  void start(const std::string& node, std::uint32_t generation) override;
  void stop(const std::string& node) override { children_.kill(node); }
  awaitable<void> run() override;
  awaitable<void> finish(std::chrono::milliseconds time) override;

 private:
  /// The address of this file in the folder of sockets, or any TCP port.
  std::string address(const std::string& file) const;
  std::filesystem::path log_of(const std::string& node) const;
  NodeEnd describe_end(const Children::Ended& child);
  awaitable<void> report_ends();

  LocalSockets sockets_;
  std::optional<RunDirectory> directory_;
  SocketFolder folder_;
  std::optional<NodeReception> reception_;
  std::map<std::string, std::uint32_t> generation_;  // of the last process started of each node
  // Registered at the start, so that no end of a child is missed.
  asio::signal_set child_signals_;
  Children children_{Children::Kind::node};
  std::optional<std::uint64_t> killed_for_memory_;  // by the kernel, when last looked at
};

}  // namespace lateral
