// TCP options, and what TCP knows of a connection; of other sockets nothing.
#pragma once

namespace lateral {

/// `socket`, here and below: its descriptor.
bool is_tcp(int socket);
/// Small messages leave at once, and a dead connection is noticed also by a side that only listens.
void set_tcp_options(int socket);
/// Whether what was sent has been sent again and nothing has been acknowledged for `stall_min` and
/// four round trips. TCP itself tries again ever more seldom, also when the network is there again;
/// a new connection is up at once.
bool has_stalled(int socket);

}  // namespace lateral
