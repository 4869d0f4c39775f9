// EMNIST's split letters: 26 letters, upper and lower case in one class, labelled 1 to 26 (Cohen et
// al. 2017).
#include "nodes/data/idx_images.hpp"

namespace lateral::data_format {

std::unique_ptr<DataFormat> emnist_letters() {
  IdxImageSet set;
  set.first_label = 1;
  set.classes = 26;
  set.mean = 0.1722;
  set.standard_deviation = 0.3309;
  set.train_samples = 124800;
  set.test_samples = 20800;
  return make_emnist_format("letters", set);
}

}  // namespace lateral::data_format
