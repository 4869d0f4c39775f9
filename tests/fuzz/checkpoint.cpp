// Fuzz target: checkpoints and other HDF5 files that parameters are read from.
#include "nodes/results/checkpoint.hpp"

#include "tests/fuzz/fuzz.hpp"

namespace lateral::fuzz {
namespace {

constexpr CheckpointLimits limits{.tensor_bytes_max = std::size_t{1} << 16,
                                  .total_bytes_max = std::size_t{1} << 18};

}  // namespace

std::vector<std::string> seeds() {
  Checkpoint checkpoint;
  checkpoint.experiment = "name: 'x'";
  checkpoint.step = 5;
  for (const char* name : {"weight", "bias", "decorrelation/R"}) {
    CheckpointTensor tensor{"output", name, {2, 3}, Block(6)};
    if (checkpoint.tensors.size() == 1) tensor.shape = {6};
    std::fill_n(tensor.values.data(), 6, 0.5F);
    checkpoint.tensors.push_back(std::move(tensor));
  }
  return {written_by(
      [&](const std::string& file) { write_checkpoint(file, file + ".previous", checkpoint); })};
}

}  // namespace lateral::fuzz

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace lateral;
  static fuzz::MemoryFile file;
  file.write(data, size);
  fuzz::accepts([&] {
    const Checkpoint checkpoint = read_checkpoint(file.path(), fuzz::limits);
    std::size_t total = 0;
    for (const CheckpointTensor& tensor : checkpoint.tensors) {
      std::size_t values = 1;
      for (const std::uint32_t extent : tensor.shape) values *= extent;
      fuzz::check_property(values == tensor.values.size(),
                           "the number of values matches the shape of the tensor");
      total += tensor.values.bytes();
    }
    fuzz::check_property(total <= fuzz::limits.total_bytes_max,
                         "the total size is within the limit");
  });
  return 0;
}
