// CIFAR-100 in its binary version, with the fine labels: cifar-100-binary/{train,test}.bin.
#include "nodes/data/cifar_records.hpp"
#include "nodes/data/dataset.hpp"
#include "nodes/data/files.hpp"

namespace lateral::data_format {
namespace {

constexpr int n_coarse_classes = 20;
constexpr int n_classes = 100;

class Cifar100 final : public DataFormat {
 public:
  DataDescription describe(const DataParams&) const override {
    return {{cifar_channels, cifar_side, cifar_side, n_classes}, 50000, 10000, {}};
  }

  DataSet load(const DataParams& params) const override {
    const std::filesystem::path folder = data_path(params.root, "cifar-100-binary");
    const CifarLabels labels{n_coarse_classes, n_classes};
    DataSet data;
    data.shape = describe(params).shape;
    data.mean = {0.5071, 0.4865, 0.4409};
    data.standard_deviation = {0.2673, 0.2564, 0.2762};
    append_cifar_file(folder / "train.bin", labels, data.train);
    append_cifar_file(folder / "test.bin", labels, data.test);
    return data;
  }
};

}  // namespace

std::unique_ptr<DataFormat> cifar100() { return std::make_unique<Cifar100>(); }

}  // namespace lateral::data_format
