// RecoveryPoints: when a checkpoint becomes the recovery point.
#include "nodes/coordinator/recovery_points.hpp"

#include <doctest/doctest.h>

#include "tests/support/network.hpp"
#include "tests/support/temporary_folder.hpp"

namespace lateral {
namespace {

TEST_CASE("a recovery point is committed once a replacement has repeated what precedes it") {
  const TemporaryFolder folder;
  const Experiment experiment = small_experiment();
  RunPlan plan;
  plan.directory = RunDirectory::create(folder.path() / "run");
  Membership membership{experiment};
  RecoveryPoints points{experiment, plan, membership, true};
  // Every node reports its parts of the snapshots of steps 1 and 2, as if without any tensors.
  for (const std::uint64_t step : {1, 2})
    for (const NodeSpec& node : membership.nodes()) {
      CHECK(membership.accept_report(node.name, step));
      wire::SnapshotPart part;
      part.mutable_snapshot()->set_step(step);
      points.add_part(node.name, part);
    }
  membership.replace("hidden1", points.reports_before("hidden1"));
  REQUIRE(points.next_complete() != nullptr);
  CHECK(points.next_complete()->step() == 1);
  points.save_next(0, 0);
  CHECK(points.commit_recovery_point() == nullptr);
  CHECK_FALSE(points.committed_step());
  CHECK(points.next_complete() == nullptr);  // it would replace the pending one

  CHECK_FALSE(membership.accept_report("hidden1", 1));
  const wire::Snapshot* committed = points.commit_recovery_point();
  REQUIRE(committed != nullptr);
  CHECK(committed->step() == 1);
  CHECK(points.committed_step() == 1);
  CHECK(points.reports_before("hidden1") == 1);
  REQUIRE(points.next_complete() != nullptr);
  CHECK(points.next_complete()->step() == 2);
}

}  // namespace
}  // namespace lateral
