// The two forms of a summary.
#include "nodes/results/summary.hpp"

#include <cstdio>
#include <nlohmann/json.hpp>

#include "nodes/base/version.hpp"

namespace lateral {

std::string to_json(const Summary& summary) {
  nlohmann::ordered_json json;
  json["name"] = summary.name;
  json["version"] = version();
  json["seed"] = summary.seed;
  json["product"] = summary.product;
  json["complete"] = summary.complete;
  json["epochs"] = summary.epochs.size();
  json["steps"] = summary.step;
  json["evaluated_on"] = summary.evaluated_on;
  if (summary.epochs.empty()) {
    json["final"] = nullptr;
  } else {
    const MetricsRow& last = summary.epochs.back();
    json["final"] = {{"test_loss", last.test_loss},
                     {"test_accuracy", last.test_accuracy},
                     {"train_loss", last.train_loss},
                     {"train_accuracy", last.train_accuracy}};
  }
  json["train_samples_per_second"] = summary.train_samples_per_second;
  json["wall_seconds"] = summary.wall_seconds;
  json["state_sha256"] = summary.state_sha256;
  json["nodes"] = nlohmann::ordered_json::array();
  for (const NodeSummary& node : summary.nodes)
    json["nodes"].push_back({{"name", node.name},
                             {"role", node.role},
                             {"pid", node.pid},
                             {"peak_rss_bytes", node.peak_rss_bytes},
                             {"cpu_seconds", node.cpu_seconds},
                             {"messages_sent", node.messages_sent},
                             {"bytes_sent", node.bytes_sent}});
  json["restarts"] = nlohmann::ordered_json::array();
  for (const Restart& restart : summary.restarts) {
    nlohmann::ordered_json entry{{"node", restart.node},
                                 {"generation", restart.generation},
                                 {"step", restart.step},
                                 {"reason", restart.reason}};
    entry["seconds"] = restart.seconds ? nlohmann::ordered_json(*restart.seconds)
                                       : nlohmann::ordered_json(nullptr);
    json["restarts"].push_back(std::move(entry));
  }
  return json.dump(2) + "\n";
}

std::string to_table(const Summary& summary) {
  std::string table;
  char line[256];
  std::snprintf(line, sizeof line, "%5s  %10s  %8s  %10s  %8s  %9s\n", "epoch", "train loss",
                "accuracy", (summary.evaluated_on + " loss").c_str(), "accuracy", "samples/s");
  table += line;
  for (const MetricsRow& row : summary.epochs) {
    std::snprintf(line, sizeof line, "%5llu  %10.5g  %8s  %10.5g  %8s  %9.0f\n",
                  static_cast<unsigned long long>(row.epoch), row.train_loss,
                  accuracy_text(row.train_accuracy).c_str(), row.test_loss,
                  accuracy_text(row.test_accuracy).c_str(), row.train_samples_per_second);
    table += line;
  }
  std::snprintf(line, sizeof line, "\n%-16s  %-11s  %8s  %7s  %8s  %9s  %9s\n", "node", "role",
                "pid", "cpu s", "peak MB", "messages", "sent MB");
  table += line;
  for (const NodeSummary& node : summary.nodes) {
    std::snprintf(line, sizeof line, "%-16s  %-11s  %8lld  %7.1f  %8.0f  %9llu  %9.1f\n",
                  node.name.c_str(), node.role.c_str(), static_cast<long long>(node.pid),
                  node.cpu_seconds, static_cast<double>(node.peak_rss_bytes) / 1e6,
                  static_cast<unsigned long long>(node.messages_sent),
                  static_cast<double>(node.bytes_sent) / 1e6);
    table += line;
  }
  return table;
}

}  // namespace lateral
