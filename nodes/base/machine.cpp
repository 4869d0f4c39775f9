// /proc/meminfo, control groups, and resource limits.
#include "nodes/base/machine.hpp"

#include <sys/resource.h>
#include <unistd.h>

#include <fstream>
#include <limits>
#include <sstream>
#include <vector>

namespace lateral {
namespace {

namespace fs = std::filesystem;

std::optional<double> number_in(const fs::path& file) {
  std::ifstream stream{file};
  double value = 0;
  if (stream >> value) return value;
  return std::nullopt;  // also for "max"
}

/// The number after `key` in lines "key value".
std::optional<double> number_after(const fs::path& file, const std::string& key) {
  std::ifstream stream{file};
  for (std::string line; std::getline(stream, line);) {
    std::istringstream words{line};
    std::string word;
    double value = 0;
    if (words >> word && word == key && words >> value) return value;
  }
  return std::nullopt;
}

void keep_smaller(std::optional<Available>& smallest, double amount, const std::string& limit) {
  if (!smallest || amount < smallest->amount) smallest = Available{amount, limit};
}

struct Group {
  fs::path folder;   ///< of its files
  std::string name;  ///< "/user.slice"
  bool is_version_2 = false;
};

/// The groups of this process in the hierarchy of `controller`, with all ancestors.
std::vector<Group> groups_of(const fs::path& root, const std::string& controller) {
  std::vector<Group> groups;
  std::ifstream stream{root / "proc/self/cgroup"};
  for (std::string line; std::getline(stream, line);) {  // number:controllers:path
    const std::size_t first = line.find(':'), second = line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    const bool is_version_2 = controllers.empty();
    if (!is_version_2 &&
        ("," + controllers + ",").find("," + controller + ",") == std::string::npos)
      continue;
    const fs::path hierarchy =
        root / (is_version_2 ? "sys/fs/cgroup" : "sys/fs/cgroup/" + controller);
    const fs::path path = line.substr(second + 1);
    for (fs::path at = path;; at = at.parent_path()) {
      groups.push_back({hierarchy / at.relative_path(), at.string(), is_version_2});
      if (!at.has_relative_path()) break;
    }
  }
  return groups;
}

}  // namespace

std::optional<Available> available_memory(const fs::path& root) {
  std::optional<Available> smallest;
  constexpr double kibibyte = 1024;
  if (const auto free = number_after(root / "proc/meminfo", "MemAvailable:"))
    keep_smaller(smallest, *free * kibibyte, "this machine");
  for (const Group& group : groups_of(root, "memory")) {
    const auto max =
        number_in(group.folder / (group.is_version_2 ? "memory.max" : "memory.limit_in_bytes"));
    const auto used =
        number_in(group.folder / (group.is_version_2 ? "memory.current" : "memory.usage_in_bytes"));
    if (!max || !used) continue;
    // Of what is used, the kernel can drop the pages of files that are not in use.
    const auto droppable = number_after(
        group.folder / "memory.stat", group.is_version_2 ? "inactive_file" : "total_inactive_file");
    keep_smaller(smallest, *max - *used + droppable.value_or(0), "the cgroup " + group.name);
  }
  return smallest;
}

std::optional<std::uint64_t> processes_killed_for_memory(const fs::path& root) {
  const auto whole = [](double count) { return static_cast<std::uint64_t>(count); };
  for (const Group& group : groups_of(root, "memory")) {
    const char* const file = group.is_version_2 ? "memory.events" : "memory.oom_control";
    if (const auto count = number_after(group.folder / file, "oom_kill")) return whole(*count);
  }
  if (const auto count = number_after(root / "proc/vmstat", "oom_kill")) return whole(*count);
  return std::nullopt;
}

std::optional<Available> memory_of_one_process() {
  std::optional<Available> smallest;
  const auto add = [&](auto resource, const char* name) {
    rlimit limit{};
    if (::getrlimit(resource, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY)
      keep_smaller(smallest, static_cast<double>(limit.rlim_cur), name);
  };
  add(RLIMIT_AS, "the limit of address space of a process (ulimit -v)");
  add(RLIMIT_DATA, "the limit of data of a process (ulimit -d)");
  return smallest;
}

std::optional<Available> available_processes(const fs::path& root) {
  std::optional<Available> smallest;
  rlimit limit{};
  // The kernel does not apply this limit to the superuser. Processes of the user that run already
  // are not counted here: their number is not known without reading all of /proc.
  if (::geteuid() != 0 && ::getrlimit(RLIMIT_NPROC, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY)
    keep_smaller(smallest, static_cast<double>(limit.rlim_cur),
                 "the limit of processes (ulimit -u)");
  for (const Group& group : groups_of(root, "pids")) {
    const auto max = number_in(group.folder / "pids.max");
    const auto used = number_in(group.folder / "pids.current");
    if (max && used) keep_smaller(smallest, *max - *used, "the cgroup " + group.name);
  }
  return smallest;
}

std::uint64_t raise_descriptor_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return std::numeric_limits<std::uint64_t>::max();
  const rlimit raised{limit.rlim_max, limit.rlim_max};
  if (::setrlimit(RLIMIT_NOFILE, &raised) == 0) limit = raised;
  return limit.rlim_cur;
}

}  // namespace lateral
