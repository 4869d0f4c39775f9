// Finds a rule by the name that configuration uses, which is the name of its file.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace lateral {

/// One row of a table that the build writes from the files of a folder, and plug-ins make longer.
template <class Make>
struct TableEntry {
  std::string_view name;
  Make* make;
};

/// Makes the table of this kind longer, unless the name is taken: then false. The build writes one
/// of these with each table. REQUIRES: no thread reads the table meanwhile, or keeps a span of it.
template <class Make>
bool add_entry(const TableEntry<Make>& entry);

/// The entry called `name`, or null.
template <class Make>
Make* find_entry(std::span<const TableEntry<Make>> table, std::string_view name) {
  for (const TableEntry<Make>& entry : table)
    if (entry.name == name) return entry.make;
  return nullptr;
}

/// "a, b, c": the names of all entries, for messages.
template <class Make>
std::string names_of(std::span<const TableEntry<Make>> table) {
  std::string names;
  for (const TableEntry<Make>& entry : table) {
    if (!names.empty()) names += ", ";
    names += entry.name;
  }
  return names;
}

}  // namespace lateral
