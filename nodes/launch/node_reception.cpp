// The command line of `lateral node`.
#include "nodes/launch/node_reception.hpp"

#include "nodes/base/digest.hpp"
#include "nodes/base/name.hpp"

namespace lateral {

NodeReception::NodeReception(const asio::any_io_executor& executor, const std::string& address,
                             const std::string& configuration_digest, bool plain_tcp,
                             const Log& log, Linked linked)
    : credentials_{make_secret(), configuration_digest, plain_tcp},
      reception_{executor,
                 address,
                 credentials_,
                 {coordinator_name, 0},
                 [log](const std::string& line) { log.warning(line); },
                 [linked = std::move(linked)](const Identity&, std::unique_ptr<Link> link) {
                   linked(std::move(link));
                 }} {}

std::vector<std::string> NodeReception::expect(const std::string& node, std::uint32_t generation,
                                               const std::string& listen,
                                               const std::string& secret_file) {
  reception_.expect({node, generation});
  std::vector<std::string> arguments{"node",
                                     "--name",
                                     node,
                                     "--generation",
                                     std::to_string(generation),
                                     "--coordinator",
                                     reception_.address(),
                                     "--digest",
                                     to_hex(credentials_.configuration_digest),
                                     "--secret",
                                     secret_file,
                                     "--listen",
                                     listen};
  if (credentials_.plain_tcp) arguments.emplace_back("--plain-tcp");
  return arguments;
}

}  // namespace lateral
