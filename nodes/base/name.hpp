// is_name(): what may be the name of a run, a sweep, a layer, a record or a rule.
#pragma once

#include <algorithm>
#include <string_view>

namespace lateral {

/// 1 to 64 letters, digits, '_' and '-'.
inline bool is_name(std::string_view name) {
  const auto allowed = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-';
  };
  return !name.empty() && name.size() <= 64 && std::all_of(name.begin(), name.end(), allowed);
}

}  // namespace lateral
