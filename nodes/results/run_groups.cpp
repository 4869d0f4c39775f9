// Reading the experiments of runs to group them.
#include "nodes/results/run_groups.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>
#include <set>

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

/// A group of several runs, and all runs of whose folder it has, is called after that folder.
void name_after_folders(std::vector<RunGroup>& groups) {
  std::map<fs::path, std::set<std::size_t>> groups_in;
  for (std::size_t g = 0; g < groups.size(); ++g)
    for (const RunFiles& run : groups[g].runs) groups_in[run.path().parent_path()].insert(g);
  for (const auto& [folder, members] : groups_in)
    if (RunGroup& group = groups[*members.begin()]; members.size() == 1 && group.runs.size() > 1)
      group.title = folder_name(folder);
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
  std::map<std::string, int> repeats;        // by settings with seed
  for (const RunFiles& run : runs) {
    std::optional<proto::Experiment> settings = settings_of(run);
    if (settings) {
      // Repeats of a run with the same seed are no sample of seeds: each is in a group of its own.
      const int repeat = repeats[settings->SerializeAsString()]++;
      settings->clear_seed();
      const auto [found, is_new] =
          known.emplace(fmt::format("{} {}", repeat, settings->SerializeAsString()), groups.size());
      if (!is_new) {
        groups[found->second].runs.push_back(run);
        continue;
      }
    }
    groups.push_back({folder_name(run.path()), {run}});
  }
  name_after_folders(groups);
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
