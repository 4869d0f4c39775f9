// CIFAR-10 in its binary version: cifar-10-batches-bin/{data_batch_1…5,test_batch}.bin.
#include <fmt/format.h>

#include "nodes/data/cifar_records.hpp"
#include "nodes/data/dataset.hpp"
#include "nodes/data/files.hpp"

namespace lateral::data_format {
namespace {

constexpr int n_classes = 10;
constexpr int n_training_files = 5;

class Cifar10 final : public DataFormat {
 public:
  DataDescription describe(const DataParams&) const override {
    return {{cifar_channels, cifar_side, cifar_side, n_classes}, 50000, 10000, {}};
  }

  DataSet load(const DataParams& params) const override {
    const std::filesystem::path folder = data_path(params.root, "cifar-10-batches-bin");
    const CifarLabels labels{n_classes};
    DataSet data;
    data.shape = describe(params).shape;
    data.mean = {0.4914, 0.4822, 0.4465};
    data.standard_deviation = {0.2023, 0.1994, 0.2010};
    data.train.pixels.reserve(describe(params).train_samples * cifar_pixels);
    for (int i = 1; i <= n_training_files; ++i)
      append_cifar_file(folder / fmt::format("data_batch_{}.bin", i), labels, data.train);
    append_cifar_file(folder / "test_batch.bin", labels, data.test);
    return data;
  }
};

}  // namespace

std::unique_ptr<DataFormat> cifar10() { return std::make_unique<Cifar10>(); }

}  // namespace lateral::data_format
