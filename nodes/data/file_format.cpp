// Classes, parts and targets of users' files.
#include "nodes/data/file_format.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <map>
#include <set>

#include "nodes/base/failure.hpp"
#include "nodes/data/sample_order.hpp"
#include "nodes/data/sample_reader.hpp"

namespace lateral {
namespace {

constexpr std::size_t labels_per_read = std::size_t{1} << 16U;
constexpr std::uint64_t test_set_draw = 1;  // split_positions(); 0 is that of validation samples

std::string text_of(const std::vector<std::size_t>& shape) {
  return fmt::format("({})", fmt::join(shape, ", "));
}

/// (samples, values), (samples, height, width) or (samples, channels, height, width); samples of
/// other numbers of dimensions are vectors.
ImageShape image_shape(const SampleArray& inputs) {
  constexpr std::size_t values_max = 3 * 1024 * 1024;  // an image of the largest size
  if (inputs.kind() == ElementKind::text)
    throw UserError(fmt::format("{}: text, expected numbers as inputs", inputs.origin()));
  if (inputs.row_values() == 0 || inputs.row_values() > values_max)
    throw UserError(fmt::format("{}: shape {}, expected 1 to {} values a sample", inputs.origin(),
                                text_of(inputs.shape()), values_max));
  const std::vector<std::size_t>& shape = inputs.shape();
  const auto extent = [&](std::size_t d) { return static_cast<int>(shape[d]); };
  const auto is_colours = [](std::size_t values) { return values == 3 || values == 4; };
  if (shape.size() == 4 && is_colours(shape[3]) && shape[1] != 1 && !is_colours(shape[1]))
    throw UserError(fmt::format(
        "{}: shape {} looks like images with their channels last, expected (samples, channels, "
        "height, width): x.transpose(0, 3, 1, 2) in NumPy",
        inputs.origin(), text_of(shape)));
  if (shape.size() == 3) return {.channels = 1, .height = extent(1), .width = extent(2)};
  if (shape.size() == 4) return {.channels = extent(1), .height = extent(2), .width = extent(3)};
  return {.channels = 1, .height = 1, .width = static_cast<int>(inputs.row_values())};
}

/// Calls `use(sample, label)` for each.
template <class Use>
void for_each_label(const SampleArray& targets, const Use& use) {
  for (std::size_t first = 0; first < targets.samples(); first += labels_per_read) {
    const std::size_t count = std::min(labels_per_read, targets.samples() - first);
    const std::vector<std::string> labels = targets.read_labels(first, count);
    for (std::size_t i = 0; i < count; ++i) use(first + i, labels[i]);
  }
}

bool is_whole_number(const std::string& label, long long& number) {
  const char* const end = label.data() + label.size();
  const auto [stop, failure] = std::from_chars(label.data(), end, number);
  return failure == std::errc{} && stop == end;
}

/// All labels: by number if all are whole numbers, otherwise by their bytes.
std::vector<std::string> class_names_of(const SampleArray& targets) {
  std::set<std::string> found;
  for_each_label(targets, [&](std::size_t, const std::string& label) {
    if (found.insert(label).second && found.size() > classes_max)
      throw UserError(
          fmt::format("{}: more than {} different labels, expected classes (data.target: values is "
                      "for numbers)",
                      targets.origin(), classes_max));
  });
  std::vector<std::string> names(found.begin(), found.end());
  std::map<std::string, long long> numbers;
  for (const std::string& name : names)
    if (long long number = 0; is_whole_number(name, number)) numbers[name] = number;
  if (numbers.size() == names.size())
    std::sort(names.begin(), names.end(), [&](const std::string& a, const std::string& b) {
      return numbers.at(a) < numbers.at(b);
    });
  return names;
}

void check_part(const FileArrays& part, const FileParams& params) {
  const std::size_t samples = part.inputs->samples();
  if (samples == 0 || samples > file_samples_max)
    throw UserError(fmt::format("{}: {} samples, expected 1 to {}", part.inputs->origin(), samples,
                                file_samples_max));
  if (!part.targets) return;
  if (part.targets->samples() != samples)
    throw UserError(fmt::format("{}: {} samples, expected {}, as many as {}",
                                part.targets->origin(), part.targets->samples(), samples,
                                part.inputs->origin()));
  const std::size_t values = part.targets->row_values();
  const bool is_label = params.targets == FileParams::Targets::labels;
  if (is_label ? values != 1 : values == 0 || values > classes_max)
    throw UserError(fmt::format(
        "{}: shape {}, expected {}", part.targets->origin(), text_of(part.targets->shape()),
        is_label ? "one label a sample (data.target: values is for targets of several numbers)"
                 : "1 to 65536 values a sample"));
}

void check_test(const SampleArray& train, const SampleArray& test, const char* what) {
  const auto same = std::equal(train.shape().begin() + 1, train.shape().end(),
                               test.shape().begin() + 1, test.shape().end());
  if (!same)
    throw UserError(fmt::format("{}: {} of shape {}, expected samples as in {}, of shape {}",
                                test.origin(), what, text_of(test.shape()), train.origin(),
                                text_of(train.shape())));
  const std::vector<std::string> expected = train.value_names(), found = test.value_names();
  if (!expected.empty() && !found.empty() && expected != found) {
    const auto at = std::mismatch(expected.begin(), expected.end(), found.begin());
    throw UserError(one_line(fmt::format(
        "{}: column '{}' where {} has '{}', expected the same columns in the same order",
        test.origin(), *at.second, train.origin(), *at.first)));
  }
}

/// Classes of the samples in `rows`.
std::vector<std::uint32_t> classes_of(const SampleArray& targets,
                                      const std::vector<std::uint32_t>& rows,
                                      const std::vector<std::string>& class_names) {
  std::map<std::string, std::uint32_t> numbers;
  for (std::size_t i = 0; i < class_names.size(); ++i)
    numbers[class_names[i]] = static_cast<std::uint32_t>(i);
  std::vector<std::uint32_t> of_all(targets.samples());
  for_each_label(targets, [&](std::size_t sample, const std::string& label) {
    const auto found = numbers.find(label);
    if (found == numbers.end())
      throw UserError(
          fmt::format("{}: row {}: label '{}', expected one of the {} classes of the "
                      "training samples",
                      targets.origin(), sample, one_line(label), class_names.size()));
    of_all[sample] = found->second;
  });
  std::vector<std::uint32_t> classes;
  classes.reserve(rows.size());
  for (const std::uint32_t row : rows) classes.push_back(of_all[row]);
  return classes;
}

}  // namespace

const std::string& only_target_name(const FileParams& params) {
  if (params.target_names.size() != 1)
    throw UserError(
        fmt::format("data.target_name has {} names, expected one array (several are for "
                    "columns of CSV files)",
                    params.target_names.size()));
  return params.target_names.front();
}

FileArrays FileFormat::open_part(const DataParams& params, const std::string& file,
                                 const std::string& targets_file) const {
  FileArrays part = open(
      params.root / file,
      targets_file.empty() ? std::filesystem::path{} : params.root / targets_file, params.files);
  check_part(part, params.files);
  return part;
}

FileFormat::Parts FileFormat::open_parts(const DataParams& params) const {
  const FileParams& files = params.files;
  const bool needs_targets = files.targets != FileParams::Targets::none;
  if (files.train.empty())
    throw UserError("data.train is not set, expected the file of the training samples");
  if (uses("train_targets") && needs_targets &&
      (files.train_targets.empty() || (!files.test.empty() && files.test_targets.empty())))
    throw UserError(fmt::format("data.{} is not set, expected the file of the targets",
                                files.train_targets.empty() ? "train_targets" : "test_targets"));
  Parts parts;
  parts.train = open_part(params, files.train, files.train_targets);
  parts.train_rows = first_positions(parts.train.inputs->samples());
  if (files.test.empty()) {
    const std::size_t samples = parts.train_rows.size();
    const auto n_test = static_cast<std::size_t>(
        std::max(1.0, std::round(files.test_fraction * static_cast<double>(samples))));
    if (n_test >= samples)
      throw UserError(fmt::format(
          "{}: {} samples, of which data.test_fraction {:g} leaves none for training; expected "
          "more samples, a smaller fraction, or a file for data.test",
          parts.train.inputs->origin(), samples, files.test_fraction));
    split_positions(parts.train_rows, parts.test_rows, n_test, params.seed, test_set_draw);
    parts.test = parts.train;
    return parts;
  }
  parts.test = open_part(params, files.test, files.test_targets);
  check_test(*parts.train.inputs, *parts.test.inputs, "inputs");
  if (files.targets == FileParams::Targets::values)
    check_test(*parts.train.targets, *parts.test.targets, "targets");
  parts.test_rows = first_positions(parts.test.inputs->samples());
  return parts;
}

DataDescription FileFormat::describe(const DataParams& params) const {
  const Parts parts = open_parts(params);
  DataDescription description;
  description.shape = image_shape(*parts.train.inputs);
  description.train_samples = parts.train_rows.size();
  description.test_samples = parts.test_rows.size();
  description.value_bytes = parts.train.inputs->value_bytes();
  description.has_bytes = parts.train.inputs->kind() == ElementKind::unsigned_byte;
  if (params.files.targets == FileParams::Targets::labels) {
    description.class_names = class_names_of(*parts.train.targets);
    description.shape.classes = static_cast<int>(description.class_names.size());
  } else if (params.files.targets == FileParams::Targets::values) {
    description.shape.target_values = static_cast<int>(parts.train.targets->row_values());
  }
  return description;
}

DataSet FileFormat::load(const DataParams& params) const {
  Parts parts = open_parts(params);
  const FileParams& files = params.files;
  DataSet data;
  data.unit = 1;
  data.shape = image_shape(*parts.train.inputs);
  const std::vector<std::string> class_names =
      files.targets != FileParams::Targets::labels ? std::vector<std::string>{}
      : files.class_names.empty()                  ? class_names_of(*parts.train.targets)
                                                   : files.class_names;
  data.shape.classes = static_cast<int>(class_names.size());
  const auto fill = [&](Samples& samples, const FileArrays& arrays,
                        std::vector<std::uint32_t>& rows) {
    samples.array = arrays.inputs;
    if (files.targets == FileParams::Targets::labels)
      samples.labels = classes_of(*arrays.targets, rows, class_names);
    if (files.targets == FileParams::Targets::values) {
      samples.targets.resize(rows.size() * arrays.targets->row_values());
      read_rows(*arrays.targets, rows, samples.targets.data());
      data.shape.target_values = static_cast<int>(arrays.targets->row_values());
    }
    samples.rows = std::move(rows);
  };
  const bool is_one_file = parts.train.inputs == parts.test.inputs;
  if (uses("buffer_samples") && files.buffer_samples == 0) {
    parts.train.inputs = read_into_memory(*parts.train.inputs);
    parts.test.inputs = is_one_file ? parts.train.inputs : read_into_memory(*parts.test.inputs);
  }
  fill(data.train, parts.train, parts.train_rows);
  fill(data.test, parts.test, parts.test_rows);
  return data;
}

}  // namespace lateral
