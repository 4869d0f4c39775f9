// KMNIST: ten cursive Japanese characters in the files of MNIST (Clanuwat et al. 2018).
#include "nodes/data/idx_images.hpp"

namespace lateral::data_format {

std::unique_ptr<DataFormat> kmnist() {
  IdxImageSet set;
  set.name = "KMNIST";
  set.folders = {"kmnist", "KMNIST/raw"};
  set.mean = 0.1918;
  set.standard_deviation = 0.3483;
  return make_idx_format(set);
}

}  // namespace lateral::data_format
