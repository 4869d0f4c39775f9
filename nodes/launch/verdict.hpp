// verdict(): which of several failures at about the same time was the cause.
#pragma once

#include <string>
#include <vector>

#include "nodes/base/failure.hpp"

namespace lateral {

/// One sign that a node is lost or has failed. When one node fails, its neighbours report that they
/// lost it; the kinds distinguish the cause from such consequences.
struct Evidence {
  /// From the most to the least conclusive.
  enum class Kind {
    reported,        ///< the node reported a failure of its own
    process_failed,  ///< its process was killed or failed
    silent,          ///< nothing was received from it for too long
    lost_another,    ///< the node reported, or its exit code says, that it lost another
    link_closed,     ///< the link to it closed
  };
  Kind kind;
  std::string node;
  ExitCode code;
  std::string detail;
};

/// The message and the exit code of the cause.  REQUIRES: at least one piece of evidence
Failure verdict(const std::vector<Evidence>& evidence);

}  // namespace lateral
