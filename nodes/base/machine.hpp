// What this machine has left for a run: memory, processes and descriptors, within all limits.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

namespace lateral {

/// An amount that is available, and what sets it.
struct Available {
  double amount = 0;
  std::string limit;  ///< "the memory that is free", "the cgroup /user.slice"
};

/// The smallest of: the memory that the kernel says can be used without swapping, and what the
/// memory limits of this process's control groups (versions 1 and 2) and of their ancestors leave.
/// Nothing where the system does not say.
///   root: of the file systems /proc and /sys, for tests
std::optional<Available> available_memory(const std::filesystem::path& root = "/");

/// How many processes the kernel has killed to free memory: of this process's control group if it
/// counts them, otherwise of the machine. Nothing where the system does not say.
std::optional<std::uint64_t> processes_killed_for_memory(const std::filesystem::path& root = "/");

/// Bytes of address space or data that one process may have (RLIMIT_AS, RLIMIT_DATA); none: any.
std::optional<Available> memory_of_one_process();

/// Processes and threads that may still be started (RLIMIT_NPROC, pids.max); none: any.
std::optional<Available> available_processes(const std::filesystem::path& root = "/");

/// Raises the limit of open descriptors to the highest that is allowed, and returns it.
std::uint64_t raise_descriptor_limit();

}  // namespace lateral
