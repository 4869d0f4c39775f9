// A summary as JSON and as a table.
#include "nodes/results/summary.hpp"

#include <fmt/format.h>

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
  json["data_sha256"] = summary.data_sha256;
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
  // Reasons may contain names of files, of any bytes; JSON is UTF-8.
  return json.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

std::string to_table(const Summary& summary) {
  std::string table =
      fmt::format("{:>5}  {:>10}  {:>8}  {:>10}  {:>8}  {:>9}\n", "epoch", "train loss", "accuracy",
                  summary.evaluated_on + " loss", "accuracy", "samples/s");
  for (const MetricsRow& row : summary.epochs)
    table += fmt::format("{:5}  {:10.5g}  {:>8}  {:10.5g}  {:>8}  {:9.0f}\n", row.epoch,
                         row.train_loss, accuracy_text(row.train_accuracy), row.test_loss,
                         accuracy_text(row.test_accuracy), row.train_samples_per_second);
  table += fmt::format("\n{:<16}  {:<11}  {:>8}  {:>7}  {:>8}  {:>9}  {:>9}\n", "node", "role",
                       "pid", "cpu s", "peak MB", "messages", "sent MB");
  for (const NodeSummary& node : summary.nodes)
    table +=
        fmt::format("{:<16}  {:<11}  {:8}  {:7.1f}  {:8.0f}  {:9}  {:9.1f}\n", node.name, node.role,
                    node.pid, node.cpu_seconds, static_cast<double>(node.peak_rss_bytes) / 1e6,
                    node.messages_sent, static_cast<double>(node.bytes_sent) / 1e6);
  return table;
}

}  // namespace lateral
