// MemoryLink: a Link between two nodes of one process.
#pragma once

#include <utility>

#include "transport/link.hpp"

namespace lateral {

/// Messages that may wait in one direction; beyond that the sender waits.
inline constexpr std::size_t memory_link_capacity = 2;

/// Two ends: what one sends the other receives. `first` belongs to `a` and its peer is `b`.
std::pair<std::unique_ptr<Link>, std::unique_ptr<Link>> make_memory_links(
    const asio::any_io_executor& executor, const std::string& a, const std::string& b);

}  // namespace lateral
