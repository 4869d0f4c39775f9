// EMNIST's split digits: 280 000 digits (Cohen et al. 2017).
#include "nodes/data/idx_images.hpp"

namespace lateral::data_format {

std::unique_ptr<DataFormat> emnist_digits() {
  IdxImageSet set;
  set.classes = 10;
  set.mean = 0.1733;
  set.standard_deviation = 0.3316;
  set.train_samples = 240000;
  set.test_samples = 40000;
  return make_emnist_format("digits", set);
}

}  // namespace lateral::data_format
