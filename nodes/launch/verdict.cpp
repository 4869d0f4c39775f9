// The most conclusive evidence decides; among equals, the first.
#include "nodes/launch/verdict.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "core/check.hpp"

namespace lateral {

Failure verdict(const std::vector<Evidence>& evidence) {
  LATERAL_CHECK(!evidence.empty());
  const auto cause =
      std::min_element(evidence.begin(), evidence.end(),
                       [](const Evidence& a, const Evidence& b) { return a.kind < b.kind; });
  if (cause->kind == Evidence::Kind::reported) return {cause->code, cause->detail};
  return {cause->code, fmt::format("node '{}' {}", cause->node, cause->detail)};
}

}  // namespace lateral
