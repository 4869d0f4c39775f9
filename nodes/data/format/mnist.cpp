// MNIST as published: mnist/{train,t10k}-{images-idx3,labels-idx1}-ubyte, raw or .gz.
#include "nodes/data/idx_images.hpp"

namespace lateral::data_format {

std::unique_ptr<DataFormat> mnist() {
  IdxImageSet set;
  set.name = "MNIST";
  set.folders = {"mnist", "MNIST/raw"};
  set.mean = 0.1307;
  set.standard_deviation = 0.3081;
  return make_idx_format(set);
}

}  // namespace lateral::data_format
