// The reward of credit rules that divide it by how much all units changed (activity_perturbation).
#pragma once

#include <span>

#include "core/types.hpp"

namespace lateral {

/// difference_n ← N difference_n / ‖da_n‖², or 0 where ‖da_n‖² = 0: the reward of sample n, spread
/// over all units by how much each of them changed.
///   units N, those of all layers;  squared_change ‖da_n‖² (1 × b), summed over them;
///   differences (b): L(perturbed) − L(clean) of each sample, in place
/// Source: Dalm et al. 2023 (arXiv 2310.00965), ANP.
void weigh_rewards(double units, ConstMatrixRef squared_change, std::span<double> differences);

}  // namespace lateral
