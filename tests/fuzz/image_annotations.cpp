// Fuzz target: the list of images and classes of Tiny ImageNet's validation part.
#include "nodes/data/image_folder.hpp"
#include "tests/fuzz/fuzz.hpp"

namespace lateral::fuzz {

std::vector<std::string> seeds() {
  return {"val_0.JPEG\tn01\t0\t0\t63\t63\nval_1.JPEG\tn02\t1\t2\t3\t4\n", "b\tx\r\na\tx", "a\t\n",
          "a\tx\na\ty\n"};
}

}  // namespace lateral::fuzz

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace lateral;
  std::vector<ImageAnnotation> annotations;
  if (!fuzz::accepts(
          [&] { annotations = parse_image_annotations(fuzz::text_of(data, size), "a"); }))
    return 0;
  fuzz::check_property(!annotations.empty(), "there is a line");
  for (std::size_t i = 0; i < annotations.size(); ++i) {
    fuzz::check_property(!annotations[i].file.empty() && !annotations[i].class_name.empty(),
                         "a line has a file and a class");
    fuzz::check_property(i == 0 || annotations[i - 1].file < annotations[i].file,
                         "files are sorted, each once");
  }
  return 0;
}
