// Protocol: which messages a node of the network reads and sends, in which order, as data.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/credit/credit.hpp"

namespace lateral {

struct Experiment;

/// The content of a message between two nodes of the network.
enum class Content { target, activity, perturbation, signal, marker };

/// One message that a node reads or sends.
struct Transfer {
  std::string peer;
  Index rows = 0;  ///< values a sample (on the wire the second extent); 0: no body
};

/// One step of the protocol: the node reads one message of each peer in `reads`, in that order,
/// computes, and sends one to each peer in `sends`.
struct Exchange {
  Content content;
  Signal signal = Signal::error;  ///< the kind of the signals that are read or sent
  std::string perturbed;          ///< Content::perturbation: the layer with noise; empty: all
  std::vector<Transfer> reads, sends;
};

/// A list of exchanges, carried out in this order for each micro-batch in turn.
struct Stage {
  std::vector<Exchange> exchanges;
  Index columns = 0;  ///< > 0: once a batch, with this number of columns; 0: per micro-batch
  std::uint64_t interval = 1;  ///< the stage is part of every interval-th training step

  /// Whether the stage is part of training step `step` (from 1).
  bool is_due(std::uint64_t step) const { return (step - 1) % interval == 0; }
};

/// The protocol of one node. It reads its peers in this order, never in the order of arrival; so
/// results do not depend on timing.
struct Protocol {
  /// A training step. The first stage receives a batch; it is carried out for as many steps as may
  /// be in flight before the later stages of the first of them. After these the node learns.
  std::vector<Stage> training;
  std::vector<Exchange> evaluation;  ///< a batch in evaluation, in this order
  Exchange marker;  ///< EpochEnd, Snapshot, End, and to layers Drain: in the stream of activities
};

Protocol protocol_of(const Experiment& experiment, const std::string& node);

/// Upper bound of the messages of one peer that a node has not read yet: all that it reads from the
/// peer in the training steps that may be in flight.
std::size_t messages_in_flight(const Experiment& experiment, const std::string& node);
/// Bytes of message bodies that a node sends its peers in a training step, on average.
double bytes_sent(const Experiment& experiment, const std::string& node);
/// Largest body [bytes] of a message that a node sends to its peers or reads of them.
std::size_t message_bytes_max(const Experiment& experiment, const std::string& node);

/// A table of all messages that the nodes of a network read and send, as text.
std::string protocol_table(const Experiment& experiment);

}  // namespace lateral
