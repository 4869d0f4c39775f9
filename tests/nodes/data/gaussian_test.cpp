// The correlated normal numbers: their moments and labels, and their dependence on the seed.
#include <doctest/doctest.h>

#include <cmath>

#include "nodes/data/batches.hpp"
#include "nodes/data/dataset.hpp"
#include "tests/nodes/data/load_batch.hpp"

namespace lateral {
namespace {

DataSet load(const GeneratedParams& params) {
  DataParams all;
  all.generated = params;
  return find_entry(data_format_table(), "gaussian")()->load(all);
}

TEST_CASE("gaussian inputs have unit variance and the set correlation") {
  GeneratedParams params;
  params.train_samples = 20000;
  params.inputs = 5;
  params.correlation = 0.8;
  const Batches batches{load(params), {.batch_size = 20000, .shuffle = false}};
  Matrix z;
  std::vector<std::uint32_t> labels;
  load_train(batches, 1, 0, z, labels);
  REQUIRE(z.rows() == 5);
  REQUIRE(z.cols() == 20000);
  const Eigen::MatrixXd wide = z.cast<double>();
  CHECK(wide.rowwise().mean().cwiseAbs().maxCoeff() < 0.03);
  const Eigen::MatrixXd covariance = wide * wide.transpose() / 20000.0;
  for (int i = 0; i < 5; ++i)
    for (int j = 0; j < 5; ++j)
      CHECK(std::abs(covariance(i, j) - std::pow(0.8, std::abs(i - j))) < 0.03);
  int right = 0;
  for (Index n = 0; n < z.cols(); ++n) {
    double alternating = 0;
    for (Index i = 0; i < 5; ++i) alternating += (i % 2 == 0 ? 1 : -1) * wide(i, n);
    right += (alternating > 0 ? 1U : 0U) == labels[static_cast<std::size_t>(n)];
  }
  CHECK(right > 19500);  // bytes round a few over the border
}

TEST_CASE("a gaussian sample depends only on the seed and its position") {
  GeneratedParams few, many;
  few.train_samples = 30;
  const DataSet a = load(few), b = load(many);
  CHECK(std::equal(a.train.pixels.begin(), a.train.pixels.end(), b.train.pixels.begin()));
  CHECK(a.train.pixels != a.test.pixels);
  few.seed = 1;
  CHECK(load(few).train.pixels != a.train.pixels);
}

}  // namespace
}  // namespace lateral
