// NodeReception: where the processes of a run's nodes call their coordinator, and the command line
// that makes them do so; for every launcher of processes.
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
  /// configuration, whose secret is drawn here. Callers that are refused are logged.
  NodeReception(const asio::any_io_executor& executor, const std::string& address,
                const std::string& configuration_digest, bool plain_tcp, const Log& log,
                Linked linked);

  /// From now on this generation of the node may call, and no other.  Returns the arguments of
  /// `lateral` with which its process is started.
  ///   listen: where its peers can dial it
  ///   secret_file: where the process finds the secret
  std::vector<std::string> expect(const std::string& node, std::uint32_t generation,
                                  const std::string& listen, const std::string& secret_file);
  /// To be given to the process in that file, never in its arguments or environment.
  const Secret& secret() const { return credentials_.secret; }
  /// Lets nodes in until it is cancelled.
  awaitable<void> run() { return reception_.run(); }

 private:
  Credentials credentials_;
  Reception reception_;
};

}  // namespace lateral
