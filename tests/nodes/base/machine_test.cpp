// What a machine has left, read from made /proc and /sys.
#include "nodes/base/machine.hpp"

#include <doctest/doctest.h>

#include <fstream>

#include "tests/support/temporary_folder.hpp"

using namespace lateral;

namespace {

class FakeRoot : public TemporaryFolder {
 public:
  void write(const std::string& file, const std::string& text) const {
    const std::filesystem::path path_of_file = path() / file;
    std::filesystem::create_directories(path_of_file.parent_path());
    std::ofstream(path_of_file) << text;
  }
};

}  // namespace

TEST_CASE("memory is the smallest of what the machine and all control groups leave") {
  const FakeRoot root;
  CHECK(!available_memory(root.path()));
  root.write("proc/meminfo", "MemTotal: 8000 kB\nMemAvailable: 5000 kB\n");
  CHECK(available_memory(root.path())->amount == 5000 * 1024);
  root.write("proc/self/cgroup", "0::/jobs/one\n");
  root.write("sys/fs/cgroup/jobs/one/memory.max", "max\n");
  root.write("sys/fs/cgroup/jobs/one/memory.current", "100\n");
  CHECK(available_memory(root.path())->limit == "this machine");
  root.write("sys/fs/cgroup/jobs/memory.max", "3000000\n");
  root.write("sys/fs/cgroup/jobs/memory.current", "1000000\n");
  root.write("sys/fs/cgroup/jobs/memory.stat", "anon 5\ninactive_file 200000\n");
  CHECK(available_memory(root.path())->amount == 2200000);
  CHECK(available_memory(root.path())->limit == "the cgroup /jobs");
}

TEST_CASE("control groups of version 1") {
  const FakeRoot root;
  root.write("proc/self/cgroup", "5:memory:/box\n3:cpu,pids:/box\n");
  root.write("sys/fs/cgroup/memory/box/memory.limit_in_bytes", "1000\n");
  root.write("sys/fs/cgroup/memory/box/memory.usage_in_bytes", "400\n");
  CHECK(available_memory(root.path())->amount == 600);
  root.write("sys/fs/cgroup/memory/box/memory.oom_control", "oom_kill_disable 0\noom_kill 3\n");
  CHECK(processes_killed_for_memory(root.path()) == 3);
}

TEST_CASE("processes that were killed for memory, and that may still be started") {
  const FakeRoot root;
  CHECK(!processes_killed_for_memory(root.path()));
  root.write("proc/vmstat", "pgfault 7\noom_kill 2\n");
  CHECK(processes_killed_for_memory(root.path()) == 2);
  root.write("proc/self/cgroup", "0::/one\n");
  root.write("sys/fs/cgroup/one/memory.events", "low 0\noom_kill 4\n");
  CHECK(processes_killed_for_memory(root.path()) == 4);
  root.write("sys/fs/cgroup/one/pids.max", "50\n");
  root.write("sys/fs/cgroup/one/pids.current", "8\n");
  CHECK(available_processes(root.path())->amount == 42);
}

TEST_CASE("the limit of open descriptors is raised") { CHECK(raise_descriptor_limit() >= 256); }
