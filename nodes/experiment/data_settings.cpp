// Settings of data, and the description of users' files.
#include "nodes/experiment/data_settings.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <map>
#include <memory>
#include <string_view>
#include <vector>

#include "nodes/base/failure.hpp"
#include "nodes/experiment/experiment.hpp"

namespace lateral {
namespace {

namespace fs = std::filesystem;

const std::string default_target_name = "y";

std::unique_ptr<DataFormat> format_of(const proto::Experiment& settings) {
  return find_entry(data_format_table(), settings.data().format())();
}

/// The paths of files, of those that are set.
std::vector<std::string*> paths_of(proto::Data& data) {
  std::vector<std::string*> paths;
  if (!data.train().empty()) paths.push_back(data.mutable_train());
  if (!data.test().empty()) paths.push_back(data.mutable_test());
  if (!data.train_targets().empty()) paths.push_back(data.mutable_train_targets());
  if (!data.test_targets().empty()) paths.push_back(data.mutable_test_targets());
  return paths;
}

/// A setting of data that only some formats use, and whether the experiment gives it a value of its
/// own. (Other settings have their defaults: an effective configuration names all.)
struct FileSetting {
  const char* name;
  bool is_given;
};

std::vector<FileSetting> file_settings(const proto::Data& data) {
  const proto::Data defaults;
  const bool names_target =
      data.target_name_size() > 1 ||
      (data.target_name_size() == 1 && data.target_name(0) != default_target_name);
  return {{"train", data.has_train()},
          {"test", data.has_test()},
          {"normalize", data.has_normalize()},
          {"mean", data.mean_size() > 0},
          {"standard_deviation", data.standard_deviation_size() > 0},
          {"test_fraction", data.test_fraction() != defaults.test_fraction()},
          {"target", data.target() == proto::Target::values},
          {"train_targets", data.has_train_targets()},
          {"test_targets", data.has_test_targets()},
          {"input_name", data.input_name() != defaults.input_name()},
          {"target_name", names_target},
          {"image_size", data.image_size() != defaults.image_size()},
          {"buffer_samples", data.buffer_samples() > 0}};
}

bool uses(const DataFormat& format, std::string_view setting) {
  constexpr std::string_view of_all[] = {
      "train", "test", "normalize", "mean", "standard_deviation", "test_fraction", "target"};
  return format.reads_files() &&
         (std::find(std::begin(of_all), std::end(of_all), setting) != std::end(of_all) ||
          format.uses(setting));
}

/// A setting without effect would mislead whoever gave it.
void refuse_unused_settings(const Settings& all, const DataFormat& format) {
  const proto::Data& data = all.values().data();
  for (const FileSetting& setting : file_settings(data)) {
    if (!setting.is_given || uses(format, setting.name)) continue;
    std::string formats;
    for (const auto& entry : data_format_table())
      if (uses(*entry.make(), setting.name))
        formats += fmt::format("{}{}", formats.empty() ? "" : ", ", entry.name);
    throw UserError(fmt::format("{}: data.{} has no effect, data.format is {}; expected one of {}",
                                all.where_is(fmt::format("data.{}", setting.name)), setting.name,
                                data.format(), formats));
  }
  if (data.test().empty() && !data.test_targets().empty())
    throw UserError(
        fmt::format("{}: data.test_targets has no effect without data.test, expected "
                    "the file of the test samples as well",
                    all.where_is("data.test_targets")));
  if (!data.test().empty() && data.test_fraction() != proto::Data().test_fraction())
    throw UserError(
        fmt::format("{}: data.test_fraction has no effect with data.test, expected one "
                    "of the two",
                    all.where_is("data.test_fraction")));
}

/// Leaves the settings that the format does not use out of the effective configuration.
void clear_unused_settings(const DataFormat& format, proto::Data& data) {
  const google::protobuf::Reflection& reflection = *data.GetReflection();
  for (const FileSetting& setting : file_settings(data))
    if (!uses(format, setting.name) && std::string_view(setting.name) != "target")
      reflection.ClearField(&data, data.GetDescriptor()->FindFieldByName(setting.name));
  if (!format.reads_files()) data.clear_description();
}

/// A description that was recorded is of other files if one of these was set since.
void drop_outdated_description(Settings& all) {
  for (const char* field : {"format", "train", "test", "train_targets", "test_targets",
                            "input_name", "target_name", "target", "test_fraction", "image_size"})
    if (all.where_is(fmt::format("data.{}", field)).starts_with("--set"))
      all.values().mutable_data()->clear_description();
}

void check_number_of_constants(const Settings& all, const ImageShape& shape) {
  const proto::Data& data = all.values().data();
  if (shape.pixels() <= normalization_constants_max) return;
  if (data.normalize() == proto::Normalize::feature ||
      data.mean_size() > normalization_constants_max)
    throw UserError(
        fmt::format("{}: data.normalize is {} with {} values a sample, expected at most "
                    "{} (channel: constants of each channel)",
                    all.where_is("data.normalize"), proto::Normalize::Kind_Name(data.normalize()),
                    shape.pixels(), normalization_constants_max));
}

/// The names of the classes are part of the configuration of a run, whose length is limited.
void check_class_names(const Settings& all) {
  constexpr std::size_t bytes_max = experiment_bytes_max / 2;
  std::size_t bytes = 0;
  const proto::DataDescription& description = all.values().data().description();
  for (const std::string& name : description.class_name())
    bytes += name.size() + 24;  // with the name of the field
  if (bytes > bytes_max)
    throw UserError(
        fmt::format("{}: the names of the {} classes take {} bytes in the configuration "
                    "of a run, expected at most {}",
                    all.where_is("data.train"), description.class_name_size(), bytes, bytes_max));
}

/// --data: the same files in another folder, by their names.
void move_paths(const Settings& all, proto::Data& data) {
  std::map<std::string, std::string> moved;  // from where, by where to
  for (std::string* path : paths_of(data)) {
    if (!fs::path(*path).is_absolute()) continue;
    const std::string name = fs::path(*path).filename().string();
    const auto [at, is_new] = moved.emplace(name, *path);
    if (!is_new && at->second != *path)
      throw UserError(
          fmt::format("{}: {} and {} have the same name, expected different ones to find "
                      "them by --data (or --set data.train=… and data.test=…)",
                      all.where_is("data.train"), at->second, *path));
    *path = name;
  }
}

void check_constants(const Settings& all, const ImageShape& shape) {
  const proto::Data& data = all.values().data();
  const bool given = data.normalize() == proto::Normalize::constants;
  const int channels = shape.channels;
  const int n = data.mean_size();
  const bool fits = n == 1 || n == channels || n == shape.pixels();
  if (given && (!fits || data.standard_deviation_size() != n))
    throw UserError(fmt::format(
        "{}: data.normalize is constants with {} of data.mean and {} of data.standard_deviation, "
        "expected 1, {} (channels) or {} (values of a sample) of each",
        all.where_is("data.normalize"), n, data.standard_deviation_size(), channels,
        shape.pixels()));
  if (!given && (n > 0 || data.standard_deviation_size() > 0))
    throw UserError(
        fmt::format("{}: data.mean and data.standard_deviation are for data.normalize: "
                    "constants",
                    all.where_is("data.normalize")));
  const auto is_wrong = [](double deviation) { return !(deviation > 0); };
  if (std::any_of(data.standard_deviation().begin(), data.standard_deviation().end(), is_wrong))
    throw UserError(fmt::format("{}: data.standard_deviation, expected numbers above 0",
                                all.where_is("data.standard_deviation")));
}

void check_cropping(const Settings& all, const ImageShape& stored) {
  const proto::Data& data = all.values().data();
  const auto crop = static_cast<int>(data.crop_size());
  if (crop > std::min(stored.height, stored.width))
    throw UserError(
        fmt::format("{}: data.crop_size is {}, expected at most {}, the images are {} x {}",
                    all.where_is("data.crop_size"), crop, std::min(stored.height, stored.width),
                    stored.height, stored.width));
  const bool is_of_values = data.normalize() == proto::Normalize::feature ||
                            data.mean_size() > std::max(1, stored.channels);
  if (is_of_values && (crop > 0 || data.crop_padding() > 0 || data.horizontal_flip()))
    throw UserError(
        fmt::format("{}: data.normalize has constants for each value, and images are moved by "
                    "cropping or mirroring; expected them for each channel",
                    all.where_is("data.normalize")));
}

void record_description(const DataDescription& found, proto::Data& data) {
  proto::DataDescription& description = *data.mutable_description();
  description.set_channels(static_cast<std::uint32_t>(found.shape.channels));
  description.set_height(static_cast<std::uint32_t>(found.shape.height));
  description.set_width(static_cast<std::uint32_t>(found.shape.width));
  description.set_train_samples(found.train_samples);
  description.set_test_samples(found.test_samples);
  description.set_target_values(static_cast<std::uint32_t>(found.shape.target_values));
  description.mutable_class_name()->Assign(found.class_names.begin(), found.class_names.end());
  description.set_value_bytes(static_cast<std::uint32_t>(found.value_bytes));
  if (!data.has_normalize())
    data.set_normalize(found.has_bytes ? proto::Normalize::channel : proto::Normalize::none);
}

}  // namespace

void make_data_paths_absolute(proto::Experiment& settings, const fs::path& folder) {
  std::error_code failure;
  for (std::string* path : paths_of(*settings.mutable_data()))
    if (fs::path found = fs::absolute(folder / *path).lexically_normal();
        fs::exists(found, failure))
      *path = found.string();
}

void clear_data_paths(proto::Experiment& settings) {
  for (std::string* path : paths_of(*settings.mutable_data())) path->clear();
}

void complete_data(Settings& all, const DataFolders& folders) {
  proto::Experiment& settings = all.values();
  proto::Data& data = *settings.mutable_data();
  const auto format = format_of(settings);
  refuse_unused_settings(all, *format);
  clear_unused_settings(*format, data);
  if (!format->reads_files()) {
    check_cropping(all, format->describe(data_params(settings)).shape);
    return;
  }
  if (data.target_name_size() == 0 && format->uses("target_name"))
    data.add_target_name(default_target_name);
  drop_outdated_description(all);
  if (!data.description().has_width()) {
    if (folders.given.empty()) make_data_paths_absolute(settings, folders.experiment);
    DataParams params = data_params(settings);
    params.root = folders.given.empty() ? folders.fallback : folders.given;
    try {
      record_description(format->describe(params), data);
    } catch (const UserError& error) {
      throw UserError(fmt::format("{}: {}", all.origin(), error.what()));
    }
  } else if (!folders.given.empty()) {
    move_paths(all, data);
  }
  check_class_names(all);
  check_number_of_constants(all, data_description(settings).shape);
  check_constants(all, data_description(settings).shape);
  check_cropping(all, data_description(settings).shape);
}

DataParams data_params(const proto::Experiment& settings) {
  const proto::Data& data = settings.data();
  const proto::Generated& generated = data.generated();
  DataParams params;
  params.seed = settings.seed();
  params.generated = {.seed = settings.seed(),
                      .train_samples = static_cast<int>(generated.train_samples()),
                      .test_samples = static_cast<int>(generated.test_samples()),
                      .size = static_cast<int>(generated.size()),
                      .noise = generated.noise(),
                      .inputs = static_cast<int>(generated.inputs()),
                      .correlation = generated.correlation()};
  using Targets = FileParams::Targets;
  params.files = {.train = data.train(),
                  .test = data.test(),
                  .train_targets = data.train_targets(),
                  .test_targets = data.test_targets(),
                  .input_name = data.input_name(),
                  .target_names = {data.target_name().begin(), data.target_name().end()},
                  .test_fraction = data.test_fraction(),
                  .image_size = static_cast<int>(data.image_size()),
                  .buffer_samples = data.buffer_samples(),
                  .targets = data.target() == proto::Target::label    ? Targets::labels
                             : data.target() == proto::Target::values ? Targets::values
                                                                      : Targets::none,
                  .class_names = {data.description().class_name().begin(),
                                  data.description().class_name().end()}};
  return params;
}

DataDescription data_description(const proto::Experiment& settings) {
  const auto format = format_of(settings);
  if (!format->reads_files()) return format->describe(data_params(settings));
  const proto::DataDescription& recorded = settings.data().description();
  DataDescription description;
  description.shape = {.channels = static_cast<int>(recorded.channels()),
                       .height = static_cast<int>(recorded.height()),
                       .width = static_cast<int>(recorded.width()),
                       .classes = recorded.class_name_size(),
                       .target_values = static_cast<int>(recorded.target_values())};
  description.train_samples = recorded.train_samples();
  description.test_samples = recorded.test_samples();
  description.value_bytes = recorded.value_bytes();
  description.class_names = {recorded.class_name().begin(), recorded.class_name().end()};
  return description;
}

BatchParams batch_params(const proto::Experiment& settings) {
  const proto::Data& data = settings.data();
  const ImageShape shape = data_description(settings).shape;
  BatchParams params{.batch_size = static_cast<int>(settings.learning().batch_size()),
                     .shuffle = settings.learning().shuffle(),
                     .train_limit = static_cast<int>(data.train_limit()),
                     .test_limit = static_cast<int>(data.test_limit()),
                     .validation_samples = static_cast<int>(data.validation_samples()),
                     .crop_padding = static_cast<int>(data.crop_padding()),
                     .horizontal_flip = data.horizontal_flip(),
                     .seed = settings.seed(),
                     .crop_size = static_cast<int>(data.crop_size()),
                     .buffer_samples = data.buffer_samples(),
                     .normalize = static_cast<Normalize>(data.normalize())};
  params.constants.mean.assign(data.mean().begin(), data.mean().end());
  params.constants.standard_deviation.assign(data.standard_deviation().begin(),
                                             data.standard_deviation().end());
  if (data.mean_size() == 1) {  // for all channels
    params.constants.mean.resize(static_cast<std::size_t>(shape.channels),
                                 params.constants.mean[0]);
    params.constants.standard_deviation.resize(static_cast<std::size_t>(shape.channels),
                                               params.constants.standard_deviation[0]);
  }
  return params;
}

}  // namespace lateral
