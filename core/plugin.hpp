// What makes a shared library a plug-in: rules and data formats compiled outside of the project
// that run as if built in.
#pragma once

#include <memory>
#include <span>
#include <string_view>
#include <variant>

#include "core/activation/activation.hpp"
#include "core/credit/credit.hpp"
#include "core/decorrelation/rule.hpp"
#include "core/dynamics/integrator.hpp"
#include "core/interface.hpp"
#include "core/layer/layer.hpp"
#include "core/loss/loss.hpp"
#include "core/optimizer/optimizer.hpp"
#include "core/preconditioner/preconditioner.hpp"

namespace lateral {

class DataFormat;  // nodes/data/dataset.hpp, on which core does not depend
using MakeDataFormat = std::unique_ptr<DataFormat>();

/// The kinds of rules that a plug-in may bring, each known by the type of the function that makes
/// it.
using MakePluginRule =
    std::variant<MakeActivation*, MakeCreditRule*, MakeDecorrelationRule*, MakeIntegrator*,
                 MakeLoss*, MakeOptimizer*, MakePreconditioner*, GetLayerKind*, MakeDataFormat*>;

struct PluginRule {
  std::string_view name;  ///< in experiments: letters, digits, '_' and '-'
  MakePluginRule make;
};

using PluginRules = std::span<const PluginRule>;

}  // namespace lateral

/// What program and plug-in must have in common, since they share objects; and the words before it,
/// by which it is found in a file before any code of the file runs.
#define LATERAL_PLUGIN_MARK "lateral plug-in for: "
#define LATERAL_PLUGIN_BUILD                                                              \
  "lateral " LATERAL_INTERFACE ", " LATERAL_PLUGIN_SCALAR ", Eigen " LATERAL_PLUGIN_EIGEN \
  ", C++ ABI " LATERAL_PLUGIN_ABI

#ifdef LATERAL_DOUBLE
#define LATERAL_PLUGIN_SCALAR "float64"
#else
#define LATERAL_PLUGIN_SCALAR "float32"
#endif
#define LATERAL_PLUGIN_EIGEN                                                \
  LATERAL_TEXT(EIGEN_WORLD_VERSION.EIGEN_MAJOR_VERSION.EIGEN_MINOR_VERSION) \
  " aligned to " LATERAL_TEXT(EIGEN_MAX_ALIGN_BYTES) " bytes"
#define LATERAL_PLUGIN_ABI        \
  LATERAL_TEXT(__GXX_ABI_VERSION) \
  ", libstdc++ " LATERAL_TEXT(_GLIBCXX_RELEASE._GLIBCXX_USE_CXX11_ABI)
#define LATERAL_TEXT(x) LATERAL_TEXT_OF(x)
#define LATERAL_TEXT_OF(x) #x

/// Once in a plug-in, at namespace scope: LATERAL_PLUGIN({"name", function}, …), each function of
/// a type in MakePluginRule.
#define LATERAL_PLUGIN(...)                                                                \
  static const ::lateral::PluginRule lateral_plugin_array[] = {__VA_ARGS__};               \
  extern "C" {                                                                             \
  [[gnu::visibility("default")]] extern const char lateral_plugin_build[];                 \
  [[gnu::visibility("default")]] extern const ::lateral::PluginRules lateral_plugin_rules; \
  const char lateral_plugin_build[] = LATERAL_PLUGIN_MARK LATERAL_PLUGIN_BUILD;            \
  const ::lateral::PluginRules lateral_plugin_rules{lateral_plugin_array};                 \
  }
