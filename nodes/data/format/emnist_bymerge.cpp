// EMNIST's split bymerge: 47 classes; lower-case letters like their capitals are merged (Cohen et
// al. 2017).
#include "nodes/data/idx_images.hpp"

namespace lateral::data_format {

std::unique_ptr<DataFormat> emnist_bymerge() {
  IdxImageSet set;
  set.classes = 47;
  set.mean = 0.1736;
  set.standard_deviation = 0.3316;
  set.train_samples = 697932;
  set.test_samples = 116323;
  return make_emnist_format("bymerge", set);
}

}  // namespace lateral::data_format
