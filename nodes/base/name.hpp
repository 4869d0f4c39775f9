// Names: which are valid for runs, sweeps, layers, records and rules, and those of the nodes that
// every network has.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>

namespace lateral {

inline const std::string coordinator_name = "coordinator";
inline const std::string source_name = "source";
inline const std::string readout_name = "readout";

/// 1 to 64 letters, digits, '_' and '-'.
inline bool is_name(std::string_view name) {
  const auto allowed = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-';
  };
  return !name.empty() && name.size() <= 64 && std::all_of(name.begin(), name.end(), allowed);
}

}  // namespace lateral
