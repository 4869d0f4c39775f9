// Fashion-MNIST: ten kinds of clothing in the files of MNIST (Xiao et al. 2017).
#include "nodes/data/idx_images.hpp"

namespace lateral::data_format {

std::unique_ptr<DataFormat> fashion_mnist() {
  IdxImageSet set;
  set.name = "Fashion-MNIST";
  // The second is where the files are in the official repository.
  set.folders = {"fashion-mnist", "fashion-mnist/data/fashion", "FashionMNIST/raw"};
  set.mean = 0.2860;
  set.standard_deviation = 0.3530;
  return make_idx_format(set);
}

}  // namespace lateral::data_format
