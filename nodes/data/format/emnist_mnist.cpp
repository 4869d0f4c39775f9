// EMNIST's split mnist: 70 000 digits, drawn as MNIST was (Cohen et al. 2017).
#include "nodes/data/idx_images.hpp"

namespace lateral::data_format {

std::unique_ptr<DataFormat> emnist_mnist() {
  IdxImageSet set;
  set.classes = 10;
  set.mean = 0.1733;
  set.standard_deviation = 0.3317;
  set.train_samples = 60000;
  set.test_samples = 10000;
  return make_emnist_format("mnist", set);
}

}  // namespace lateral::data_format
