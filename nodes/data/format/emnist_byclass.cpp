// EMNIST's split byclass: 62 classes, ten digits, 26 capitals and 26 lower-case letters (Cohen et
// al. 2017).
#include "nodes/data/idx_images.hpp"

namespace lateral::data_format {

std::unique_ptr<DataFormat> emnist_byclass() {
  IdxImageSet set;
  set.classes = 62;
  set.mean = 0.1736;
  set.standard_deviation = 0.3316;
  set.train_samples = 697932;
  set.test_samples = 116323;
  return make_emnist_format("byclass", set);
}

}  // namespace lateral::data_format
