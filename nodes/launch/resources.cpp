// Comparing the needs of a run with the limits of the machine.
#include "nodes/launch/resources.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "nodes/base/failure.hpp"
#include "nodes/base/machine.hpp"
#include "nodes/base/name.hpp"

namespace lateral {
namespace {

constexpr const char* force = "--force starts it nevertheless";

/// What makes the largest part smaller.
std::string advice_for(const NodeMemory& node) {
  const double largest = std::max({node.state, node.samples, node.batches, node.messages});
  if (largest == node.samples)
    return "data.train_limit, or data.buffer_samples for files that are read by pieces, makes it "
           "smaller";
  if (largest == node.batches) return "a smaller learning.batch_size makes it smaller";
  if (largest == node.messages)
    return "a shorter recording.checkpoint_interval or execution.restarts_max: 0 makes it smaller";
  return "fewer units make it smaller";
}

std::string largest_parts(std::vector<NodeMemory> memory) {
  constexpr std::size_t listed = 3;
  std::sort(memory.begin(), memory.end(),
            [](const NodeMemory& a, const NodeMemory& b) { return a.total() > b.total(); });
  std::string text;
  for (std::size_t i = 0; i < std::min(listed, memory.size()); ++i)
    text +=
        fmt::format("{}{} {}", i == 0 ? "" : ", ", memory[i].node, bytes_text(memory[i].total()));
  return text;
}

void check_memory(const Experiment& experiment, const MemoryOptions& options) {
  const std::vector<NodeMemory> memory = memory_of(experiment, options);
  const auto largest = std::max_element(
      memory.begin(), memory.end(),
      [](const NodeMemory& a, const NodeMemory& b) { return a.total() < b.total(); });
  const auto refuse = [&](double needed, const Available& available) {
    throw UserError(fmt::format("{}: needs about {} of memory ({}), and {} leaves {}; {}; {}",
                                experiment.name, bytes_text(needed), largest_parts(memory),
                                available.limit, bytes_text(std::max(0.0, available.amount)),
                                advice_for(*largest), force));
  };
  const double needed = total_bytes(memory);
  if (const auto available = available_memory(); available && needed > available->amount)
    refuse(needed, *available);
  const double of_one = options.in_process ? needed : largest->total();
  if (const auto available = memory_of_one_process(); available && of_one > available->amount)
    refuse(of_one, *available);
}

}  // namespace

void check_resources(const Experiment& experiment, const ResourceOptions& options) {
  check_memory(experiment, options.memory);
  const std::size_t nodes = experiment.topology.nodes().size();
  const auto refuse = [&](double needed, const std::string& what, const Available& available) {
    throw UserError(
        fmt::format("{}: {} nodes need about {} {}, and {} leaves {}; fewer layers need "
                    "fewer; {}",
                    experiment.name, nodes, needed, what, available.limit,
                    std::max(0.0, available.amount), force));
  };
  // Of the coordinator: a link, a listening socket's queue and a log for each node; in one process
  // only what the program itself has open.
  constexpr std::size_t of_program = 32, of_node = 3;
  const std::size_t descriptors = of_program + (options.memory.in_process ? 0 : of_node * nodes);
  const std::uint64_t descriptor_limit = raise_descriptor_limit();
  if (descriptors > descriptor_limit)
    refuse(static_cast<double>(descriptors), "open files",
           {static_cast<double>(descriptor_limit), "the limit of open files (ulimit -n)"});
  // Threads: one waits, one computes and one copies, and the helpers of a layer compute with it.
  const double threads = static_cast<double>(nodes) * (3 + std::max(0, options.threads - 1)) + 2;
  if (const auto available = available_processes(); available && threads > available->amount)
    refuse(threads, "processes and threads", *available);
}

}  // namespace lateral
