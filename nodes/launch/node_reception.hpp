// NodeReception: accepts the connections of a run's node processes, and makes their command lines;
// for every launcher of processes.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "nodes/base/log.hpp"
#include "transport/reception.hpp"

namespace lateral {

class NodeReception {
 public:
  using Linked = std::function<void(std::unique_ptr<Link>)>;

  /// Listens at `address` ("unix:PATH" or "tcp:HOST:PORT") for the nodes of a run of this
  /// configuration, whose secret is generated here. Refused callers are logged.
  NodeReception(const asio::any_io_executor& executor, const std::string& address,
                const std::string& configuration_digest, bool plain_tcp, const Log& log,
                Linked linked);

  /// From now on this generation of the node may connect, and no other.  Returns the arguments of
  /// `lateral` with which its process is started.
  ///   listen: the address at which its peers dial it
  ///   secret_file: the file from which the process reads the secret
  std::vector<std::string> expect(const std::string& node, std::uint32_t generation,
                                  const std::string& listen, const std::string& secret_file);
  /// To be passed to the process in that file, never in its arguments or environment.
  const Secret& secret() const { return credentials_.secret; }
  /// Accepts nodes until it is cancelled.
  awaitable<void> run() { return reception_.run(); }

 private:
  Credentials credentials_;
  Reception reception_;
};

}  // namespace lateral
