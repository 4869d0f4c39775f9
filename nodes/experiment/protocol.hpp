// Protocol: which messages a node of the network reads and sends, in which order, as data.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/credit/credit.hpp"

namespace lateral {

struct Experiment;

/// What a message between two nodes of the network holds.
enum class Content { target, activity, perturbation, signal, marker };

/// One message that a node reads or sends.
struct Transfer {
  std::string peer;
  Index rows = 0;  ///< values a sample (on the wire the second extent); 0: no body
};

/// What a node does at once: it reads one message of each peer in `reads`, in that order, computes,
/// and sends one to each peer in `sends`.
struct Exchange {
  Content content;
  Signal signal = Signal::error;  ///< Content::signal: its kind
  std::string perturbed;          ///< Content::perturbation: the layer with noise; empty: all
  std::vector<Transfer> reads, sends;
};

/// Exchanges in their order, for each piece of the batch in turn.
struct Stage {
  std::vector<Exchange> exchanges;
  Index columns = 0;           ///< > 0: not for each piece but once a batch, with so many columns
  std::uint64_t interval = 1;  ///< training steps from one with this stage to the next

  /// Whether training step `step` (from 1) has it.
  bool is_due(std::uint64_t step) const { return (step - 1) % interval == 0; }
};

/// Of one node. It reads its peers in this order and never "whichever came first"; so results do
/// not depend on timing.
struct Protocol {
  /// A training step. The first stage takes a batch in; as many steps as may be in flight are taken
  /// in before the later stages of the first of them. Then the node learns.
  std::vector<Stage> training;
  Exchange evaluation;  ///< a batch in evaluation
  Exchange marker;      ///< Drain, EpochEnd, Snapshot, End: in the stream of activities
};

Protocol protocol_of(const Experiment& experiment, const std::string& node);

/// Messages of one peer that may be on their way to a node before it reads the first of them, at
/// most: all that it reads of the peer in the training steps that may be in flight.
std::size_t messages_in_flight(const Experiment& experiment, const std::string& node);
/// Bytes of message bodies that a node sends its peers in a training step, on average.
double bytes_sent(const Experiment& experiment, const std::string& node);
/// Largest body [bytes] of a message that a node sends to its peers or reads of them.
std::size_t message_bytes_max(const Experiment& experiment, const std::string& node);

/// A table of all that the nodes of a network read and send, as text.
std::string protocol_table(const Experiment& experiment);

}  // namespace lateral
