// Written files are read unchanged, damaged files are refused, and a verdict names the cause.
#include <doctest/doctest.h>
#include <hdf5.h>
#include <zlib.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <functional>

#include "nodes/base/failure.hpp"
#include "nodes/launch/verdict.hpp"
#include "nodes/results/checkpoint.hpp"
#include "nodes/results/metrics.hpp"
#include "nodes/results/run_directory.hpp"
#include "tests/support/temporary_folder.hpp"

namespace lateral {
namespace {

namespace fs = std::filesystem;

CheckpointTensor tensor(const std::string& layer, const std::string& name,
                        std::vector<std::uint32_t> shape) {
  CheckpointTensor t{layer, name, std::move(shape), {}};
  std::size_t values = 1;
  for (const std::uint32_t extent : t.shape) values *= extent;
  t.values = Block(values);
  for (std::size_t i = 0; i < values; ++i) t.values.data()[i] = static_cast<float>(i) * 0.1f;
  return t;
}
Checkpoint example() {
  Checkpoint checkpoint;
  checkpoint.experiment = "name: \"x\"\n";
  checkpoint.step = 12;
  checkpoint.epoch = 3;
  checkpoint.wall_seconds = 1.25;
  checkpoint.train.set_loss(0.1);
  checkpoint.train.set_correct(5);
  checkpoint.train.set_samples(9);
  checkpoint.tensors.push_back(tensor("hidden1", "weight", {3, 4}));
  checkpoint.tensors.push_back(tensor("hidden1", "bias", {3}));
  checkpoint.tensors.push_back(tensor("hidden1", "decorrelation/R", {4, 4}));
  return checkpoint;
}
std::string refusal_of(const fs::path& path, std::size_t bytes_max = 4096) {
  try {
    read_checkpoint(path, {bytes_max, std::max<std::size_t>(4096, bytes_max)});
  } catch (const UserError& error) {
    return error.what();
  }
  return "accepted";
}

TEST_CASE("a checkpoint is read as it was written") {
  const TemporaryFolder folder;
  Checkpoint written = example();
  written.experiment.append(200000, '#');  // more than an attribute could hold in older formats
  write_checkpoint(folder.path() / "c.h5", folder.path() / "p.h5", written);
  CHECK_FALSE(fs::exists(folder.path() / "c.h5.tmp"));
  const Checkpoint read = read_checkpoint(folder.path() / "c.h5", {4096, 4096});
  CHECK(read.complete_header);
  CHECK(read.experiment == written.experiment);
  CHECK(read.step == 12);
  CHECK(read.epoch == 3);
  CHECK(read.wall_seconds == 1.25);
  CHECK(read.train.SerializeAsString() == written.train.SerializeAsString());
  REQUIRE(read.tensors.size() == 3);
  for (const CheckpointTensor& t : written.tensors) {
    const auto same =
        std::find_if(read.tensors.begin(), read.tensors.end(), [&](const CheckpointTensor& r) {
          return r.layer == t.layer && r.name == t.name && r.shape == t.shape &&
                 std::equal(r.values.values().begin(), r.values.values().end(),
                            t.values.values().begin());
        });
    CHECK(same != read.tensors.end());
  }
}

TEST_CASE("a checkpoint that is damaged, of another format or too large is refused by name") {
  const TemporaryFolder folder;
  const fs::path file = folder.path() / "c.h5";
  CHECK(refusal_of(file).find("no such checkpoint") != std::string::npos);
  std::ofstream{file} << "garbage";
  CHECK(refusal_of(file).find("not a checkpoint") != std::string::npos);
  write_checkpoint(file, folder.path() / "p.h5", example());
  CHECK(refusal_of(file) == "accepted");
  CHECK(refusal_of(file, 48).find("/layers/hidden1/decorrelation/R") != std::string::npos);
  {
    std::fstream stream{file, std::ios::in | std::ios::out | std::ios::binary};
    std::string bytes{std::istreambuf_iterator<char>{stream}, {}};
    const float seventh = 0.7f;  // a value of the weights, somewhere in the file
    const std::size_t at =
        bytes.find(std::string(reinterpret_cast<const char*>(&seventh), sizeof seventh));
    REQUIRE(at != std::string::npos);
    stream.seekp(static_cast<std::streamoff>(at));
    stream.put(static_cast<char>(bytes[at] ^ 1));
  }
  CHECK(refusal_of(file).find("its content does not match its digest") != std::string::npos);
  write_checkpoint(file, folder.path() / "p.h5", example());
  fs::resize_file(file, fs::file_size(file) / 2);
  CHECK(refusal_of(file) != "accepted");
}

/// What a reader made of a changed file: "refused", or all that it would use.
std::string use_of(const fs::path& path) {
  try {
    Checkpoint c = read_checkpoint(path, {4096, 4096});
    std::sort(c.tensors.begin(), c.tensors.end(), [](const auto& a, const auto& b) {
      return std::pair(a.layer, a.name) < std::pair(b.layer, b.name);
    });
    std::string shapes;
    for (const CheckpointTensor& t : c.tensors)
      for (const std::uint32_t extent : t.shape) shapes += std::to_string(extent) + " ";
    const std::string header =
        c.complete_header ? c.experiment + std::to_string(c.step) + " " + std::to_string(c.epoch) +
                                " " + c.train.SerializeAsString() + std::to_string(c.wall_seconds)
                          : "none";
    return header + " " + shapes + state_sha256(c.tensors);
  } catch (const UserError&) {
    return "refused";
  }
}
std::string content_of(const fs::path& path) {
  std::ifstream stream{path, std::ios::binary};
  return {std::istreambuf_iterator<char>{stream}, {}};
}
void put(const fs::path& path, const std::string& bytes) {
  std::ofstream{path, std::ios::binary | std::ios::trunc} << bytes;
}

/// LATERAL_FLIP_STRIDE=1 tries every bit and every length; by default a sample of them is tried.
TEST_CASE("a checkpoint of which any bit is flipped is refused or gives the same state") {
  const char* const given = std::getenv("LATERAL_FLIP_STRIDE");
  const std::size_t stride = given == nullptr ? 101 : std::stoul(given);
  const TemporaryFolder folder;
  const fs::path file = folder.path() / "c.h5", damaged = folder.path() / "damaged.h5";
  write_checkpoint(file, folder.path() / "p.h5", example());
  const std::string bytes = content_of(file);
  const std::string undamaged = use_of(file);
  REQUIRE(undamaged != "refused");
  std::size_t tried = 0, refused = 0, same = 0;
  const auto try_bytes = [&](const std::string& changed) {
    put(damaged, changed);
    const std::string use = use_of(damaged);
    ++tried;
    refused += use == "refused" ? 1 : 0;
    same += use == undamaged ? 1 : 0;
  };
  for (std::size_t bit = 0; bit < 8 * bytes.size(); bit += stride) {
    std::string changed = bytes;
    changed[bit / 8] = static_cast<char>(changed[bit / 8] ^ (1 << (bit % 8)));
    try_bytes(changed);
  }
  for (std::size_t length = 0; length < bytes.size(); length += stride)
    try_bytes(bytes.substr(0, length));
  constexpr std::size_t block = 64;
  for (std::size_t a = 0; a + 2 * block <= bytes.size(); a += stride * block / 8)
    for (std::size_t b = a + block; b + block <= bytes.size(); b += stride * block / 8) {
      std::string changed = bytes;
      std::swap_ranges(changed.begin() + static_cast<std::ptrdiff_t>(a),
                       changed.begin() + static_cast<std::ptrdiff_t>(a + block),
                       changed.begin() + static_cast<std::ptrdiff_t>(b));
      try_bytes(changed);
    }
  MESSAGE(tried << " changes: " << refused << " refused, " << same << " with the same state");
  CHECK(refused + same == tried);
  CHECK(refused > 0);
}

TEST_CASE(
    "a checkpoint without its digest, or with an edited tensor, is not taken for a user's file") {
  const TemporaryFolder folder;
  const fs::path file = folder.path() / "c.h5";
  const auto edit = [&](const std::function<void(hid_t)>& change) {
    write_checkpoint(file, folder.path() / "p.h5", example());
    const hid_t h5 = H5Fopen(file.c_str(), H5F_ACC_RDWR, H5P_DEFAULT);
    change(h5);
    H5Fclose(h5);
    return refusal_of(file);
  };
  const auto overwrite = [](hid_t h5) {
    const hid_t set = H5Dopen2(h5, "/layers/hidden1/bias", H5P_DEFAULT);
    const std::vector<float> values(3, 7.0f);
    H5Dwrite(set, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data());
    H5Dclose(set);
  };
  CHECK(edit([](hid_t) {}) == "accepted");
  CHECK(edit(overwrite).find("copy /layers into a new file") != std::string::npos);
  CHECK(edit([](hid_t h5) { H5Adelete(h5, "digest"); }).find("attribute digest is missing") !=
        std::string::npos);
  CHECK(edit([](hid_t h5) { H5Adelete(h5, "step"); }).find("attribute step is missing") !=
        std::string::npos);
  CHECK(edit([&](hid_t h5) {
          overwrite(h5);
          for (const char* name : {"format_version", "digest", "state_sha256", "tensors"})
            H5Adelete(h5, name);
        }) != "accepted");
}

TEST_CASE("the tensors of one layer are returned only if the whole checkpoint is undamaged") {
  const TemporaryFolder folder;
  const fs::path file = folder.path() / "c.h5";
  Checkpoint written = example();
  written.tensors.push_back(tensor("output", "weight", {2, 3}));
  write_checkpoint(file, folder.path() / "p.h5", written);
  const Checkpoint read = read_checkpoint(file, {4096, 4096}, "output");
  REQUIRE(read.tensors.size() == 1);
  CHECK(read.tensors[0].name == "weight");
  std::string bytes = content_of(file);
  const float value = 1.1f;  // the last of /layers/hidden1/weight
  const std::size_t at = bytes.find(std::string(reinterpret_cast<const char*>(&value), 4));
  REQUIRE(at != std::string::npos);
  bytes[at] = static_cast<char>(bytes[at] ^ 4);
  put(file, bytes);
  CHECK_THROWS_AS(read_checkpoint(file, {4096, 4096}, "output"), UserError);
}

/// A file of the user's own with one data set /layers/a/weight (64, 64).
struct OwnFile {
  std::size_t chunk = 0;
  bool gzip = false, written = true;
  hid_t type = H5T_IEEE_F32LE;
  void write(const fs::path& path) const {
    const hid_t h5 = H5Fcreate(path.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    const hid_t links = H5Pcreate(H5P_LINK_CREATE);
    H5Pset_create_intermediate_group(links, 1);
    const hid_t creation = H5Pcreate(H5P_DATASET_CREATE);
    const hsize_t extents[]{64, 64}, chunks[]{chunk, chunk};
    if (chunk > 0) H5Pset_chunk(creation, 2, chunks);
    if (gzip) H5Pset_deflate(creation, 9);
    const hsize_t limits[]{H5S_UNLIMITED, H5S_UNLIMITED};
    const hid_t space = H5Screate_simple(2, extents, chunk > 0 ? limits : nullptr);
    const hid_t set = H5Dcreate2(h5, "/layers/a/weight", type, space, links, creation, H5P_DEFAULT);
    const std::vector<float> values(64 * 64, 1.0f);
    if (written) H5Dwrite(set, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data());
    H5Dclose(set);
    H5Sclose(space);
    H5Pclose(creation);
    H5Pclose(links);
    H5Fclose(h5);
  }
};

TEST_CASE("tensors of a user are accepted however h5py stores them, unless they were not written") {
  const TemporaryFolder folder;
  const fs::path file = folder.path() / "own.h5";
  const auto result = [&](const OwnFile& own) {
    own.write(file);
    try {
      const Checkpoint c = read_checkpoint(file, {1 << 20, 1 << 20});
      return std::string(c.tensors.at(0).values.data()[4095] == 1.0f ? "accepted" : "wrong values");
    } catch (const UserError& error) {
      return std::string(error.what());
    }
  };
  CHECK(result({}) == "accepted");
  CHECK(result({.type = H5T_IEEE_F64BE}) == "accepted");
  CHECK(result({.chunk = 16}) == "accepted");
  CHECK(result({.chunk = 16, .gzip = true}) == "accepted");
  CHECK(result({.written = false}).find("were all values written?") != std::string::npos);
  CHECK(result({.chunk = 16, .written = false}).find("were all values written?") !=
        std::string::npos);
  CHECK(result({.chunk = 1 << 14, .gzip = true}).find("chunks of 16384 x 16384 values") !=
        std::string::npos);
  CHECK(result({.type = H5T_STD_I32LE}).find("floating-point") != std::string::npos);
}

TEST_CASE("a packed chunk that unpacks to more than a chunk is refused before it is unpacked") {
  const TemporaryFolder folder;
  const fs::path file = folder.path() / "own.h5";
  OwnFile{.chunk = 16, .gzip = true}.write(file);
  const std::vector<std::uint8_t> zeros(std::size_t{1} << 20);
  uLongf size = compressBound(zeros.size());
  std::vector<std::uint8_t> packed(size);
  REQUIRE(compress2(packed.data(), &size, zeros.data(), zeros.size(), 9) == Z_OK);
  const hid_t h5 = H5Fopen(file.c_str(), H5F_ACC_RDWR, H5P_DEFAULT);
  const hid_t set = H5Dopen2(h5, "/layers/a/weight", H5P_DEFAULT);
  const hsize_t at[]{16, 32};
  REQUIRE(H5Dwrite_chunk(set, H5P_DEFAULT, 0, at, size, packed.data()) >= 0);
  H5Dclose(set);
  H5Fclose(h5);
  CHECK(refusal_of(file, 1 << 20) != "accepted");
  CHECK(refusal_of(file, 1 << 20).find("does not unpack to 1024 bytes") != std::string::npos);
}

TEST_CASE("a data set outside /layers, or of integers, is refused by name") {
  const TemporaryFolder folder;
  const fs::path file = folder.path() / "c.h5";
  for (const bool integers : {false, true}) {
    const hid_t h5 = H5Fcreate(file.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    const hid_t group = H5Gcreate2(h5, "/layers", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    const hid_t layer = H5Gcreate2(h5, "/layers/a", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    const hsize_t n = 3;
    const hid_t space = H5Screate_simple(1, &n, nullptr);
    const hid_t set = H5Dcreate2(h5, integers ? "/layers/a/bias" : "/weights",
                                 integers ? H5T_STD_I32LE : H5T_IEEE_F32LE, space, H5P_DEFAULT,
                                 H5P_DEFAULT, H5P_DEFAULT);
    H5Dclose(set);
    H5Sclose(space);
    H5Gclose(layer);
    H5Gclose(group);
    H5Fclose(h5);
    CHECK(refusal_of(file).find(integers ? "/layers/a/bias" : "/weights") != std::string::npos);
  }
}

TEST_CASE("only the exit codes of failures are taken from a peer") {
  for (const int code : {1, 2, 3, 4}) CHECK(failure_code(code) == static_cast<ExitCode>(code));
  for (const int code : {0, -1, 5, 99, 256, 259, 1 << 20}) CHECK_FALSE(failure_code(code));
}

TEST_CASE("the digest of the state depends on every value, name and order") {
  const auto digest = [](auto change) {
    Checkpoint c = example();
    change(c.tensors);
    return state_sha256(c.tensors);
  };
  using Tensors = std::vector<CheckpointTensor>;
  const std::string same = digest([](Tensors&) {});
  CHECK(same == digest([](Tensors&) {}));
  CHECK(same.size() == 64);
  CHECK(same != digest([](Tensors& t) { t[0].values.data()[11] += 1e-6f; }));
  CHECK(same != digest([](Tensors& t) { t[0].name = "weights"; }));
  CHECK(same != digest([](Tensors& t) { std::swap(t[0], t[1]); }));
}

TEST_CASE("a run directory that is not empty is refused, and a discarded one is removed") {
  const TemporaryFolder folder;
  const fs::path fresh = folder.path() / "run";
  const RunDirectory directory = RunDirectory::create(fresh);
  CHECK(fs::exists(fresh / "log"));
  CHECK_THROWS_AS(RunDirectory::create(fresh), UserError);
  directory.discard();
  CHECK_FALSE(fs::exists(fresh));
  fs::create_directory(fresh);  // an empty folder is accepted, and is not removed
  RunDirectory::create(fresh).discard();
  CHECK(fs::is_empty(fresh));
  CHECK_THROWS_AS(RunDirectory::open(fresh), UserError);
  CHECK_THROWS_AS(RunDirectory::create("/proc/nowhere/run"), UserError);
}

TEST_CASE("resumed tables preserve rows before the checkpoint and drop later ones") {
  const TemporaryFolder folder;
  const fs::path file = folder.path() / "metrics.csv";
  {
    MetricsFile metrics{file, 0};
    for (std::uint64_t epoch = 1; epoch <= 3; ++epoch)
      metrics.append({epoch, 0.5, 0.25, 0.125, 0.75, 2, 100});
  }
  std::ofstream{file, std::ios::app} << "4,0.1";  // truncated by a crash
  { const MetricsFile resumed{file, 2}; }
  const std::vector<MetricsRow> rows = read_metrics(file, 2);
  REQUIRE(rows.size() == 2);
  CHECK(rows[1].epoch == 2);
  CHECK(rows[1].test_accuracy == 0.75);
  CHECK_THROWS_AS(read_metrics(file, 3), UserError);  // the third was dropped

  const fs::path probes_file = folder.path() / "probes.csv";
  {
    ProbesFile probes{probes_file, 0, {"hidden1", "output"}};
    probes.add({2, 1, "output", "gain", 1.5});
    probes.add({1, 1, "output", "gain", 1.25});
    probes.add({2, 1, "hidden1", "gain", 1});
    probes.flush(1);
    probes.flush(2);
  }
  { ProbesFile probes{probes_file, 1, {"hidden1", "output"}}; }
  std::ifstream stream{probes_file};
  const std::string text{std::istreambuf_iterator<char>{stream}, {}};
  CHECK(text == "step,epoch,layer,probe,value\n1,1,output,gain,1.25\n");
}

TEST_CASE("probes stay in order also if more rows wait at once than are kept in memory") {
  const TemporaryFolder folder;
  const fs::path file = folder.path() / "probes.csv";
  ProbesFile probes{file, 0, {"hidden1", "output"}};
  constexpr std::uint64_t steps = rows_waiting_max / 2 + 1000;
  for (std::uint64_t step = 1; step <= steps; ++step)
    for (const char* layer : {"output", "hidden1"}) probes.add({step, 1, layer, "gain", 1});
  probes.flush(steps);
  std::vector<std::pair<std::uint64_t, std::string>> read;
  read_probes(file, [&](const ProbeRow& row) { read.emplace_back(row.step, row.layer); });
  CHECK(read.size() == 2 * steps);
  CHECK(std::is_sorted(read.begin(), read.end()));
}

TEST_CASE("probes of one layer that is far ahead of the others are limited in memory") {
  const TemporaryFolder folder;
  const fs::path file = folder.path() / "probes.csv";
  ProbesFile probes{file, 0, {"hidden1", "output"}};
  for (std::uint64_t step = 1; step <= rows_waiting_max; ++step)
    probes.add({step, 1, "output", "gain", 1});
  std::size_t written = 0;
  read_probes(file, [&](const ProbeRow&) { ++written; });
  CHECK(written == rows_waiting_max);
}

TEST_CASE("a verdict names the cause, not its consequences") {
  using Kind = Evidence::Kind;
  const Evidence died{Kind::process_failed, "hidden1", ExitCode::network,
                      "was killed by signal 9 (Killed)"};
  const Evidence lost{Kind::lost_another, "source", ExitCode::network,
                      "reports: lost the link to hidden1"};
  const Evidence closed{Kind::link_closed, "hidden1", ExitCode::network, "closed its link"};
  const Evidence numerics{Kind::reported, "output", ExitCode::numerics,
                          "output: activity is not finite"};
  const Evidence ended{Kind::process_failed, "output", ExitCode::network, "ended with exit code 4"};
  CHECK(verdict({lost, closed, died}).message == "node 'hidden1' was killed by signal 9 (Killed)");
  CHECK(verdict({lost, closed}).message.find("source") != std::string::npos);
  CHECK(verdict({ended, lost, numerics}).message == "output: activity is not finite");
  CHECK(verdict({ended, lost, numerics}).code == ExitCode::numerics);
}

TEST_CASE("text from unauthenticated peers and binary files is made one printable line") {
  CHECK(one_line("a\nb\x1b[2Jc\x01\n") == "a b?[2Jc?");
  CHECK(one_line("grün 日本 🙂") == "grün 日本 🙂");
  CHECK(one_line("a\xc2\x9b"
                 "2Jb") == "a?2Jb");  // C1: another ESC [
  CHECK(one_line("exe.\xe2\x80\xae"
                 "gpj") == "exe.?gpj");                                  // from right to left
  CHECK(one_line("\xe2\x81\xa6x\xe2\x81\xa9\xe2\x80\xa8y") == "?x??y");  // isolates, line separator
  CHECK(one_line("caf\xe9 \xc3") == "caf\\xe9 \\xc3");                   // no UTF-8
  CHECK(one_line("\xed\xa0\x80\xc0\xaf") == "\\xed\\xa0\\x80\\xc0\\xaf");  // surrogate, overlong
}

}  // namespace
}  // namespace lateral
