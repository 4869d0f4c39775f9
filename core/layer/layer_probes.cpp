// Measures of one step, in the order in which they are written.
#include "core/layer/layer_probes.hpp"

#include <algorithm>

#include "core/probe/measures.hpp"

namespace lateral {

std::vector<std::pair<std::string, double>> probe_layer(const ProbedStep& step) {
  const Index samples = std::min(step.after.cols(), measured_samples_max);
  const Index inputs = step.after.rows(), units = step.y.rows();
  const auto before = step.before.leftCols(samples);
  const auto after = step.after.leftCols(samples);
  std::vector<std::pair<std::string, double>> found{
      {"correlation_before", mean_squared_correlation(before)},
      {"correlation_after", mean_squared_correlation(after)},
      {"effective_rank_before", effective_rank(before)},
      {"effective_rank_after", effective_rank(after)}};
  const auto norm = static_cast<double>(before.norm());
  if (norm > 0) found.emplace_back("activity_norm", static_cast<double>(after.norm()) / norm);
  found.emplace_back("dead_units", constant_share(step.y.leftCols(samples)));
  const bool is_decomposed =
      inputs <= decomposed_units_max && units <= decomposed_units_max && samples > inputs;
  if (is_decomposed) {
    found.emplace_back("condition_number_before", condition_number(before));
    found.emplace_back("condition_number_after", condition_number(after));
  }
  if (step.spectrum) {
    found.emplace_back("spectrum_smallest", step.spectrum->smallest);
    found.emplace_back("spectrum_largest", step.spectrum->largest);
    found.emplace_back("stability_margin", step.spectrum->smallest / step.spectrum->largest);
  }
  if (step.feedback.rows() == step.weight.rows() && step.feedback.cols() == step.weight.cols())
    found.emplace_back("weight_alignment_degrees", angle_degrees(step.weight, step.feedback));
  if (is_decomposed && step.delta.size() > 0 && step.true_delta.size() > 0) {
    const Matrix change = step.through_decorrelation(
        step.delta.leftCols(samples) * after.transpose() / static_cast<Scalar>(samples));
    for (const auto& [name, both] :
         {std::pair<const char*, bool>{"natural_gradient_angle_degrees", true},
          {"input_natural_angle_degrees", false}})
      found.emplace_back(
          name,
          angle_degrees(
              change,
              natural_gradient(step.true_delta.leftCols(samples), before, both).cast<Scalar>()));
  }
  return found;
}

}  // namespace lateral
