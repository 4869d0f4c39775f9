// EMNIST's split balanced: 47 classes of digits and letters, equally many of each (Cohen et al.
// 2017).
#include "nodes/data/idx_images.hpp"

namespace lateral::data_format {

std::unique_ptr<DataFormat> emnist_balanced() {
  IdxImageSet set;
  set.classes = 47;
  set.mean = 0.1751;
  set.standard_deviation = 0.3332;
  set.train_samples = 112800;
  set.test_samples = 18800;
  return make_emnist_format("balanced", set);
}

}  // namespace lateral::data_format
