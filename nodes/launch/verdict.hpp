// verdict(): which of the things that went wrong at about the same time was the cause.
#pragma once

#include <string>
#include <vector>

#include "nodes/base/failure.hpp"

namespace lateral {

/// One sign that a node is not well. When one node dies, its neighbours notice too; the cause is
/// told from the consequences by kind.
struct Evidence {
  /// From the most to the least telling.
  enum class Kind {
    reported,      ///< the node said what was wrong, and it was not the network
    died,          ///< its process was killed or failed, and it had not finished
    silent,        ///< nothing heard of it for too long
    lost_another,  ///< the node said, or ended with the exit code that says, that it lost somebody
    link_closed,   ///< the link to it closed, and it had not finished
  };
  Kind kind;
  std::string node;
  ExitCode code;
  std::string detail;
};

/// The line and the exit code of the cause.  REQUIRES: at least one piece of evidence
Failure verdict(const std::vector<Evidence>& evidence);

}  // namespace lateral
