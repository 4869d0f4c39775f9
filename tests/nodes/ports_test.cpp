// Ports: what happens to messages of a process that ends.
#include "nodes/ports.hpp"

#include <doctest/doctest.h>

#include "transport/memory_link.hpp"

namespace lateral {
namespace {

TEST_CASE("a message to a port that is gone by its turn is dropped, and touches nothing") {
  asio::io_context io;
  for (int i = 0; i < 200; ++i) {
    auto [here, there] = make_memory_links(io.get_executor(), "here", "there");
    {
      Ports ports{io.get_executor()};
      const std::string peer = here->peer();
      ports.add(std::move(here));
      ports.send(peer, Message());
    }
    // In the place of the port, so that a write to it is seen.
    std::vector<std::vector<unsigned char>> probes;
    for (std::size_t size = 16; size < 1024; size += 16) probes.emplace_back(size, 0);
    io.restart();
    io.poll();
    for (const auto& probe : probes)
      CHECK(std::all_of(probe.begin(), probe.end(), [](unsigned char c) { return c == 0; }));
  }
}

}  // namespace
}  // namespace lateral
