// lateral node: one node of a network, as a launcher starts it.
#include <limits>
#include <memory>

#include "nodes/command/command.hpp"
#include "nodes/runtime/node_program.hpp"

namespace lateral::command {

RunCommand node(CommandLine& line) {
  struct Options {
    NodeCall call;
    int generation = 0;
  };
  line.describe(
      "One node process, as a launcher starts it; the coordinator sends all that is not given "
      "here");
  const auto options = std::make_shared<Options>();
  NodeCall& call = options->call;
  line.required_option("--name", "NAME", call.name, "Name of the node");
  line.number("--generation", options->generation, 0, std::numeric_limits<int>::max(),
              "Number of earlier processes of this node in the run (default: 0)");
  line.required_option("--coordinator", "ADDRESS", call.coordinator, "unix:PATH or tcp:HOST:PORT");
  line.required_option("--digest", "HEX", call.digest_hex,
                       "SHA-256 of the effective experiment, hexadecimal");
  line.required_option("--secret", "FILE", call.secret_file,
                       "File with the secret of the run, 64 hexadecimal digits");
  line.required_option("--listen", "ADDRESS", call.listen,
                       "Address at which its peers dial it: unix:PATH or tcp:HOST:PORT");
  line.flag("--plain-tcp", call.plain_tcp,
            "No TLS, also beyond loopback; the same for all nodes of a run");
  return [options] {
    options->call.generation = static_cast<std::uint32_t>(options->generation);
    return static_cast<int>(run_node(options->call));
  };
}

}  // namespace lateral::command
