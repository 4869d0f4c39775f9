// Recordings: selected units, sizes, messages of the layers, and resumed files.
#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>

#include "nodes/base/failure.hpp"
#include "nodes/results/recording_file.hpp"
#include "tests/support/network.hpp"
#include "tests/support/temporary_folder.hpp"

namespace lateral {
namespace {

namespace fs = std::filesystem;

using Units = std::vector<Index>;

TEST_CASE("a selection of units is read, or refused in one line") {
  CHECK(parse_units("", 3, "f") == Units{0, 1, 2});
  CHECK(parse_units("0-2,5", 6, "f") == Units{0, 1, 2, 5});
  CHECK(parse_units("4", 5, "f") == Units{4});
  CHECK(parse_units("1-1,2-3", 4, "f") == Units{1, 2, 3});
  for (const char* bad : {"5", "0-5", "3-1", "1,1", "2,1", "0-2,2", ",", "1,", "-1", "1-", "a",
                          "1 ", "1;2", "99999999999999999999"}) {
    CAPTURE(bad);
    CHECK_THROWS_WITH_AS(
        parse_units(bad, 5, "f"),
        (std::string("f is '") + bad + "', expected ascending numbers from 0 to 4, such as 0-9,20")
            .c_str(),
        UserError);
  }
}

TEST_CASE("rows are due at the first step and then every interval") {
  Record record;
  record.interval = 3;
  CHECK(record.rows(0) == 0);
  std::uint64_t rows = 0;
  for (std::uint64_t step = 1; step < 20; ++step) {
    rows += record.is_due(step) ? 1 : 0;
    CHECK(record.rows(step) == rows);
  }
  CHECK(rows == 7);
}

/// 4 steps an epoch, two epochs, batches of 32 and one of 4.
Experiment recording_experiment(const std::vector<std::string>& more = {}) {
  std::vector<std::string> sets{
      "recording.record.y.what=activity", "recording.record.y.interval=2",
      "recording.record.y.samples=6",     "recording.record.y.units=1-3",
      "recording.record.w.what=weight",   "recording.record.w.layer=output",
      "recording.record.w.interval=3"};
  sets.insert(sets.end(), more.begin(), more.end());
  return small_experiment(sets);
}

TEST_CASE("records have the documented shapes and sizes") {
  const Experiment experiment = recording_experiment();
  REQUIRE(experiment.records.size() == 2);
  const Record& y = experiment.records[0];
  CHECK(y.layers.size() == 3);
  CHECK(y.layers[0].shape == std::vector<std::uint32_t>{6, 3});
  const Record& w = experiment.records[1];
  REQUIRE(w.layers.size() == 1);
  CHECK(w.layers[0].shape == std::vector<std::uint32_t>{10, 8});
  CHECK(record_bytes_max(experiment.records) == 320);
  const Experiment large =
      recording_experiment({"recording.record.y.samples=30", "recording.record.y.layer=hidden1"});
  CHECK(large.report_bytes_max(large.layer("hidden1")) ==
        std::max(large.tensor_bytes_max(), record_bytes_max(large.records)));
  CHECK(train_steps_per_epoch_max(experiment) == 4);
  CHECK(train_steps_per_epoch_max(recording_experiment({"data.train_limit=34"})) == 2);
  CHECK(train_steps_per_epoch_max(recording_experiment({"data.validation_samples=90"})) == 1);
  CHECK(recording_bytes({}, 100) == 0);
  // A thousand times the steps: a thousand times the values, and little overhead.
  const double few = recording_bytes(experiment.records, 6000),
               many = recording_bytes(experiment.records, 6000000);
  const double values = 6e6 / 2 * 3 * 18 * 4 + 6e6 / 3 * 80 * 4;
  CHECK(many - few > 0.999 * values);
  CHECK(many - few < 1.2 * values);
}

TEST_CASE("a recording above the size limit is refused before the run starts") {
  const std::vector<std::string> limit{"recording.size_limit_mb=1", "recording.record.w.interval=1",
                                       "learning.epochs=1000"};
  try {
    recording_experiment(limit);
    FAIL("accepted");
  } catch (const UserError& error) {
    const std::string line = error.what();
    CHECK(line.find("recording.h5 would take 2.") != std::string::npos);
    CHECK(line.find("recording.size_limit_mb, 1.0 MB") != std::string::npos);
  }
  for (const char* bad : {"recording.record.w.units=0-10", "recording.record.y.units=0-8",
                          "recording.record.w.layer=x", "recording.record.s.what=settling",
                          "recording.record.bad+name.what=weight",
                          "recording.record.n.layer=output", "recording.record.w=weight"}) {
    CAPTURE(bad);
    CHECK_THROWS_AS(recording_experiment({bad}), UserError);
  }
}

TEST_CASE("a small file cannot request more memory than the limit on selected units") {
  std::string text = "recording { size_limit_mb: 1000000000 ";
  for (int i = 0; i < 3; ++i)
    text += "record { name: 'r" + std::to_string(i) + "' what: activity samples: 1 } ";
  text += "} ";
  for (int i = 0; i < 100; ++i)
    text += "layer { name: 'l" + std::to_string(i) + "' units: 65536 } ";
  text += "layer { name: 'output' units: 10 }";
  CHECK_THROWS_WITH_AS(parse_experiment(text, "f", {}),
                       doctest::Contains("select more than 16777216 units"), UserError);
}

std::vector<Message> recorded_by(SimulatedNetwork& network, const std::string& layer) {
  std::vector<Message> found;
  for (const Message& message : network.reports_of(layer))
    if (message.header.has_recorded()) found.push_back(copy_of(message));
  return found;
}

TEST_CASE("layers send their records when they are due, in every order of execution of the nodes") {
  const Experiment experiment = recording_experiment();
  SimulatedNetwork network{experiment, data_of(experiment), {}, 1};
  REQUIRE(network.run());
  const std::vector<Message> sent = recorded_by(network, "output");
  std::vector<std::string> found;
  for (const Message& message : sent)
    found.push_back(message.header.recorded().record() +
                    std::to_string(message.header.recorded().step()));
  CHECK(found == std::vector<std::string>{"y1", "w1", "y3", "w4", "y5", "y7", "w7"});
  for (std::uint64_t seed = 2; seed < 6; ++seed) {
    SimulatedNetwork other{experiment, data_of(experiment), {}, seed};
    REQUIRE(other.run());
    const std::vector<Message> again = recorded_by(other, "output");
    REQUIRE(again.size() == sent.size());
    for (std::size_t i = 0; i < sent.size(); ++i)
      CHECK(std::equal(sent[i].body.values().begin(), sent[i].body.values().end(),
                       again[i].body.values().begin()));
  }
}

Message row(const std::string& record, std::uint64_t step, std::vector<std::uint32_t> shape,
            float value) {
  Message message;
  message.header.mutable_recorded()->set_record(record);
  message.header.mutable_recorded()->set_step(step);
  message.header.mutable_shape()->Assign(shape.begin(), shape.end());
  std::size_t size = 1;
  for (const std::uint32_t extent : shape) size *= extent;
  message.body = Block(size);
  std::fill_n(message.body.data(), size, value);
  return message;
}

TEST_CASE("a resumed recording continues after the checkpoint's step, without the later rows") {
  const TemporaryFolder folder;
  const fs::path path = folder.path() / "recording.h5";
  const Experiment experiment = recording_experiment();
  const Record& y = experiment.records[0];
  {
    RecordingFile file{path, experiment, 8, std::nullopt};
    for (const LayerSpec& layer : experiment.layers)
      for (const std::uint64_t step : {1, 3, 5})
        file.append(layer.name, row("y", step, {6, 3}, static_cast<float>(step)));
    file.append("output", row("w", 1, {10, 8}, 1));
    file.append("output", row("w", 4, {10, 8}, 4));
  }
  {
    RecordingFile file{path, experiment, 8, 4};  // drops y5
    CHECK_THROWS(file.append("output", row("y", 7, {6, 3}, 0)));
    file.append("output", row("y", 5, {6, 3}, 50));
    file.append("output", row("y", 7, {4, 3}, 70));  // a smaller batch
    for (const auto& wrong :
         {row("w", 10, {10, 8}, 0), row("w", 7, {10, 9}, 0), row("w", 7, {80}, 0),
          row("x", 7, {10, 8}, 0), row("w", 4, {10, 8}, 0)})
      CHECK_THROWS(file.append("output", wrong));
    CHECK_THROWS(file.append("hidden1", row("w", 7, {10, 8}, 0)));
  }
  const RecordedRows output = read_recorded(path, y, y.layers[2]);
  CHECK(output.steps == std::vector<std::uint64_t>{1, 3, 5, 7});
  CHECK(output.first == std::vector<float>(18, 1.0f));
  CHECK(output.last[11] == 70);
  CHECK(output.last[12] != output.last[12]);  // NaN
  CHECK(read_recorded(path, y, y.layers[0]).steps == std::vector<std::uint64_t>{1, 3});
  // hidden1 lacks its row of step 5.
  CHECK_THROWS_AS(RecordingFile(path, experiment, 8, 8), UserError);
  CHECK(read_recorded(path, y, y.layers[2]).steps.size() == 4);  // as it was
  std::ofstream{path} << "damaged";
  CHECK_THROWS_AS(RecordingFile(path, experiment, 8, 4), UserError);
  CHECK_THROWS_AS(read_recorded(path, y, y.layers[0]), UserError);
  CHECK_THROWS_AS(RecordingFile(folder.path() / "none.h5", experiment, 8, 4), UserError);
}

}  // namespace
}  // namespace lateral
