// One pass through R or M: the outer products of the samples, and a factor a row or a column.
#include "core/decorrelation/relative_gradient.hpp"

namespace lateral {
namespace {

constexpr Index block_columns = 64;

}  // namespace

Vector mean_square(ConstMatrixRef X) {
  return (X.cast<double>().rowwise().squaredNorm() / static_cast<double>(X.cols())).cast<Scalar>();
}

DecorrelationUpdate update_relative(const DecorrelationView& view, const RelativeGradient& gradient,
                                    Scalar eta, DecorrelationState& state, UpdateWorkspace& work) {
  const Index samples = view.x.cols();
  const Scalar step = eta * gradient.scale / static_cast<Scalar>(samples);
  const Compute& compute = view.compute;
  DecorrelationUpdate update;
  if (state.M.size() > 0) {
    const Vector factor = (1 + eta * gradient.diagonal.array()).max(denominator_min);
    update.shortened = (eta * gradient.diagonal.array() + 1 < denominator_min).any();
    state.M.array().rowwise() *= factor.transpose().array();
    add_outer_product(step, view.zc, view.x, state.M, compute);
    return update;
  }
  const Vector factor = 1 - eta * gradient.diagonal.array();
  work.samples = view.x.transpose();
  work.inner.resize(samples, state.R.cols());
  compute.for_columns(state.R.cols(), block_columns,
                      4.0 * static_cast<double>(state.R.size() * samples),
                      [&](Index first, Index columns) {
                        auto R = state.R.middleCols(first, columns);
                        auto inner = work.inner.middleCols(first, columns);
                        compute.product().multiply(1, {work.samples}, {R}, 0, inner);
                        R.array().colwise() *= factor.array();
                        compute.product().multiply(-step, {view.x}, {inner}, 1, R);
                      });
  return update;
}

}  // namespace lateral
