// Results of members are read as written, damaged files are refused in one line, and the table
// names the best setting.
#include "nodes/sweep/sweep_results.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "nodes/base/failure.hpp"

namespace lateral {
namespace {

using Status = SweepResult::Status;

SweepResult example() {
  SweepResult result;
  result.configuration_sha256 = std::string(64, 'c');
  result.epochs = 3;
  result.train_loss = 0.1;
  result.train_accuracy = 1.0 / 3;
  result.test_loss = 1e-300;
  result.test_accuracy = 1;
  result.state_sha256 = std::string(64, 'a');
  return result;
}

SweepResult written_and_read(const SweepResult& result) {
  return parse_sweep_result(to_json(result), "r.json");
}

std::string refusal_of(const std::string& json) {
  try {
    parse_sweep_result(json, "r.json");
  } catch (const UserError& error) {
    return error.what();
  }
  return "accepted";
}

/// The example's JSON with `text` replaced.
std::string changed(const std::string& text, const std::string& replacement) {
  std::string json = to_json(example());
  const std::size_t found = json.find(text);
  REQUIRE(found != std::string::npos);
  return json.replace(found, text.size(), replacement);
}

TEST_CASE("a result is read with the bits that it was written with") {
  const SweepResult result = written_and_read(example());
  CHECK(result.status == Status::done);
  CHECK(result.epochs == 3);
  CHECK(result.train_loss == 0.1);
  CHECK(result.train_accuracy == 1.0 / 3);
  CHECK(result.test_loss == 1e-300);
  CHECK(result.test_accuracy == 1);
  CHECK(result.state_sha256 == std::string(64, 'a'));
  CHECK(result.configuration_sha256 == std::string(64, 'c'));
  CHECK(result.message.empty());
}

TEST_CASE("numbers that are not finite, and results without an epoch, are preserved as well") {
  SweepResult result = example();
  result.train_loss = std::numeric_limits<double>::infinity();
  result.test_loss = -result.train_loss;
  result.train_accuracy = std::nan("");
  result.test_accuracy = -std::nan("");
  const SweepResult read = written_and_read(result);
  CHECK(read.train_loss == result.train_loss);
  CHECK(read.test_loss == result.test_loss);
  CHECK(std::isnan(read.train_accuracy));
  CHECK(std::isnan(read.test_accuracy));
  CHECK(to_json(read) == to_json(result));  // also the sign of nan

  result = {};
  result.status = Status::failed;
  result.message = "the disk\nis full: \"\xff\"";
  result.configuration_sha256 = std::string(64, '0');
  const SweepResult failed = written_and_read(result);
  CHECK(failed.status == Status::failed);
  CHECK(failed.message == "the disk is full: \"\\xff\"");
  CHECK(failed.epochs == 0);
  CHECK(failed.train_loss == 0);
}

TEST_CASE("a result that was not written by to_json is refused in one line that names the field") {
  CHECK(refusal_of("") == "r.json: damaged, expected a JSON object");
  CHECK(refusal_of("[1]") == "r.json: damaged, expected a JSON object");
  CHECK(refusal_of(to_json(example()).substr(0, 100)) == "r.json: damaged, expected a JSON object");
  CHECK(refusal_of("{}") == "r.json: has no 'format_version', expected the result of a member");
  CHECK(refusal_of(changed("\"format_version\": 1", "\"format_version\": 2")) ==
        "r.json: format_version is 2, expected 1");
  CHECK(refusal_of(changed("\"done\"", "\"won\"")) ==
        "r.json: status is \"won\", expected done, diverged or failed");
  CHECK(refusal_of(changed("\"epochs\": 3", "\"epochs\": -3")) ==
        "r.json: epochs is -3, expected a whole number");
  CHECK(refusal_of(changed(": 0.1,", ": \"0.1\",")).starts_with("r.json: train_loss is \"0.1\""));
  CHECK(refusal_of(changed(": 0.1,", ": 1e999,")) == "r.json: damaged, expected a JSON object");
  CHECK(refusal_of(changed("\"final\": {", "\"final\": 1, \"x\": {")) ==
        "r.json: final is 1, expected an object");
  for (const char digit : {'a', 'c'})
    for (const char* last_two : {"", "AA", "aaa", "\\u0000a"})
      CHECK(refusal_of(changed(std::string(64, digit), std::string(62, digit) + last_two))
                .find("64 hexadecimal digits") != std::string::npos);
}

TEST_CASE("the table names the best setting, as the best so far if some members have failed") {
  Sweep sweep;
  sweep.axes = {"learning.learning_rate"};
  sweep.metric = "test_accuracy";
  sweep.smaller_is_better = false;
  SweepResults results;
  for (std::size_t setting = 0; setting < 3; ++setting)
    for (std::uint64_t seed = 1; seed <= 2; ++seed) {
      sweep.members.push_back({setting, "", {"0." + std::to_string(setting + 1)}, seed, {}});
      results.emplace_back(example());
      results.back()->test_accuracy = 0.5 + 0.1 * static_cast<double>(setting);
    }
  const std::string whole = sweep_table(sweep, results);
  CHECK(whole.find("\nbest: learning.learning_rate=0.3\n") != std::string::npos);
  results[5]->status = Status::diverged;
  CHECK(sweep_table(sweep, results).find("\nbest: learning.learning_rate=0.2\n") !=
        std::string::npos);
  results[5]->status = Status::failed;
  CHECK(sweep_table(sweep, results).find("\nbest so far: learning.learning_rate=0.2\n") !=
        std::string::npos);
}

TEST_CASE("a member without a result is a row of the CSV file with empty fields") {
  Sweep sweep;
  sweep.name = std::string("s");
  sweep.axes = {"a.b"};
  sweep.members = {{0, "x, y", {"1"}, 7, {}}, {1, "", {""}, 8, {}}};
  const std::string csv = sweep_csv(sweep, {example(), std::nullopt});
  CHECK(csv ==
        "member,arm,a.b,seed,status,epochs,train_loss,train_accuracy,test_loss,test_accuracy,"
        "state_sha256\n0,\"x, y\",1,7,done,3,0.1,0.333333,1e-300,1," +
            std::string(64, 'a') + "\n1,,,8,missing,,,,,,\n");
}

}  // namespace
}  // namespace lateral
