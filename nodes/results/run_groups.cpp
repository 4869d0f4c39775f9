// Reading the experiments of runs to group them.
#include "nodes/results/run_groups.hpp"

#include <algorithm>
#include <map>
#include <optional>

#include "nodes/base/failure.hpp"
#include "nodes/base/file.hpp"
#include "nodes/experiment/experiment.hpp"
#include "nodes/experiment/settings.hpp"

namespace lateral {

namespace fs = std::filesystem;

namespace {

std::optional<proto::Experiment> settings_of(const RunFiles& run) {
  try {
    proto::Experiment settings;
    parse_text(read_file(run.experiment(), experiment_bytes_max, "experiment of a run"),
               run.experiment().string(), settings);
    return settings;
  } catch (const UserError&) {
    return std::nullopt;
  }
}

}  // namespace

bool is_run(const RunFiles& run) { return fs::exists(run.metrics()); }

std::vector<RunFiles> runs_below(const fs::path& folder) {
  std::vector<RunFiles> runs;
  std::error_code failure;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder, failure))
    if (RunFiles run{entry.path()}; is_run(run)) runs.push_back(std::move(run));
  std::sort(runs.begin(), runs.end(),
            [](const RunFiles& a, const RunFiles& b) { return a.path() < b.path(); });
  return runs;
}

std::vector<RunGroup> group_by_settings(const std::vector<RunFiles>& runs) {
  std::vector<RunGroup> groups;
  std::map<std::string, std::size_t> known;  // by settings without seed
  for (const RunFiles& run : runs) {
    std::optional<proto::Experiment> settings = settings_of(run);
    if (settings) {
      settings->clear_seed();
      const auto [found, is_new] = known.emplace(settings->SerializeAsString(), groups.size());
      if (!is_new) {
        groups[found->second].runs.push_back(run);
        continue;
      }
    }
    groups.push_back({folder_name(run.path()), {run}});
  }
  return groups;
}

std::string folder_name(const fs::path& folder) {
  const fs::path path = fs::absolute(folder).lexically_normal();
  return path.filename().empty() ? path.parent_path().filename().string()
                                 : path.filename().string();
}

std::string evaluated_on(const RunFiles& run) {
  const std::optional<proto::Experiment> settings = settings_of(run);
  return settings && settings->data().validation_samples() > 0 ? "validation" : "test";
}

}  // namespace lateral
