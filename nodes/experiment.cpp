// From text to checked plain structs, with a file and a line for whatever is wrong.
#include "nodes/experiment.hpp"

#include <google/protobuf/io/tokenizer.h>
#include <google/protobuf/text_format.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <set>
#include <sstream>

#include "nodes/failure.hpp"
#include "proto/experiment.pb.h"
#include "transport/handshake.hpp"

namespace lateral {
namespace {

namespace pb = google::protobuf;
using pb::FieldDescriptor;
using pb::TextFormat;

std::string join(const std::vector<std::string>& words) {
  std::string joined;
  for (const std::string& word : words) joined += (joined.empty() ? "" : ", ") + word;
  return joined;
}

std::string field_names(const pb::Descriptor& descriptor) {
  std::vector<std::string> names;
  for (int i = 0; i < descriptor.field_count(); ++i) names.push_back(descriptor.field(i)->name());
  return join(names);
}

std::string value_names(const pb::EnumDescriptor& descriptor) {
  std::vector<std::string> names;
  for (int i = 0; i < descriptor.value_count(); ++i) names.push_back(descriptor.value(i)->name());
  return join(names);
}

// What a value of this field looks like, for "expected …".
std::string expected_form(const FieldDescriptor& field) {
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_BOOL: return "true or false";
    case FieldDescriptor::CPPTYPE_DOUBLE: return "a number";
    case FieldDescriptor::CPPTYPE_UINT32: return "a whole number from 0 to 4294967295";
    case FieldDescriptor::CPPTYPE_UINT64: return "a whole number, 0 or more";
    case FieldDescriptor::CPPTYPE_ENUM: return "one of " + value_names(*field.enum_type());
    case FieldDescriptor::CPPTYPE_MESSAGE: return "a field of it: " + field_names(*field.message_type());
    default: return "a word";
  }
}

std::string names_in_table(const std::string& table) {
  if (table == "activation") return names_of(activation_table());
  if (table == "loss") return names_of(loss_table());
  if (table == "optimizer") return names_of(optimizer_table());
  if (table == "credit") return names_of(credit_table());
  if (table == "integrator") return names_of(integrator_table());
  if (table == "decorrelation") return names_of(decorrelation_table());
  if (table == "data_format") return names_of(data_format_table());
  throw std::logic_error("experiment.proto names an unknown table '" + table + "'");
}

bool is_listed(const std::string& names, const std::string& name) {
  return (", " + names + ",").find(", " + name + ",") != std::string::npos && !name.empty();
}

class FirstError final : public pb::io::ErrorCollector {
 public:
  void AddError(int line, pb::io::ColumnNumber column, const std::string& message) override {
    if (!message_.empty()) return;
    where_ = line < 0 ? "" : std::to_string(line + 1) + ":" + std::to_string(column + 1) + ": ";
    message_ = message;
  }
  std::string text() const { return where_ + message_; }
  const std::string& message() const { return message_; }

 private:
  std::string where_, message_;
};

// Where each value came from, by its dotted path.
class Origins {
 public:
  Origins(std::string file, const TextFormat::ParseInfoTree& tree) : file_{std::move(file)}, tree_{&tree} {}

  void set_by_flag(const std::string& path, const std::string& flag) { flags_[path] = flag; }

  std::string of(const std::string& path, const FieldDescriptor* field, int index,
                 const TextFormat::ParseInfoTree* tree) const {
    if (const auto flag = flags_.find(path); flag != flags_.end()) return "--set " + flag->second;
    if (tree != nullptr && field != nullptr) {
      const auto location = tree->GetLocation(field, index);
      if (location.line >= 0) return file_ + ":" + std::to_string(location.line + 1);
    }
    return file_;
  }
  const TextFormat::ParseInfoTree& tree() const { return *tree_; }
  const std::string& file() const { return file_; }

 private:
  std::string file_;
  const TextFormat::ParseInfoTree* tree_;
  std::map<std::string, std::string> flags_;
};

// ---- --set PATH=VALUE

pb::Message& layer_called(proto::Experiment& experiment, const std::string& name, const std::string& flag) {
  std::vector<std::string> names;
  for (proto::Layer& layer : *experiment.mutable_layer()) {
    if (layer.name() == name) return layer;
    names.push_back(layer.name());
  }
  throw UserError("--set " + flag + ": no layer '" + name + "', expected one of " + join(names));
}

void apply_set(proto::Experiment& experiment, const std::string& flag, Origins& origins) {
  const std::size_t equals = flag.find('=');
  if (equals == std::string::npos || equals == 0)
    throw UserError("--set " + flag + ": expected PATH=VALUE, such as learning.epochs=2");
  const std::string path = flag.substr(0, equals);
  const std::string value = flag.substr(equals + 1);

  std::vector<std::string> words;
  std::istringstream stream{path};
  for (std::string word; std::getline(stream, word, '.');) words.push_back(word);

  pb::Message* message = &experiment;
  for (std::size_t i = 0; i < words.size(); ++i) {
    const FieldDescriptor* field = message->GetDescriptor()->FindFieldByName(words[i]);
    if (field == nullptr)
      throw UserError("--set " + flag + ": no field '" + words[i] + "', expected one of " +
                      field_names(*message->GetDescriptor()));
    const bool last = i + 1 == words.size();
    if (field->is_repeated()) {  // layer.NAME.field
      if (last || i + 2 == words.size())
        throw UserError("--set " + flag + ": expected layer.NAME.FIELD=VALUE");
      message = &layer_called(experiment, words[++i], flag);
      continue;
    }
    if (field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
      if (last) throw UserError("--set " + flag + ": expected " + expected_form(*field));
      message = message->GetReflection()->MutableMessage(message, field);
      continue;
    }
    if (!last) throw UserError("--set " + flag + ": '" + words[i] + "' has no fields");
    if (field->cpp_type() == FieldDescriptor::CPPTYPE_STRING) {
      message->GetReflection()->SetString(message, field, value);
    } else {
      TextFormat::Parser parser;
      FirstError error;
      parser.RecordErrorsTo(&error);
      if (value.empty() || !parser.ParseFieldValueFromString(value, field, message))
        throw UserError("--set " + flag + ": '" + value + "', expected " + expected_form(*field));
    }
    origins.set_by_flag(path, flag);
  }
}

// ---- Defaults and ranges, from the schema

// In the effective configuration every field stands with its value.
void fill_defaults(pb::Message& message) {
  const pb::Reflection& reflection = *message.GetReflection();
  const pb::Descriptor& descriptor = *message.GetDescriptor();
  for (int i = 0; i < descriptor.field_count(); ++i) {
    const FieldDescriptor* field = descriptor.field(i);
    if (field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
      if (field->is_repeated())
        for (int k = 0; k < reflection.FieldSize(message, field); ++k)
          fill_defaults(*reflection.MutableRepeatedMessage(&message, field, k));
      else
        fill_defaults(*reflection.MutableMessage(&message, field));
      continue;
    }
    if (reflection.HasField(message, field) || !field->has_default_value()) continue;
    switch (field->cpp_type()) {
      case FieldDescriptor::CPPTYPE_BOOL: reflection.SetBool(&message, field, field->default_value_bool()); break;
      case FieldDescriptor::CPPTYPE_DOUBLE: reflection.SetDouble(&message, field, field->default_value_double()); break;
      case FieldDescriptor::CPPTYPE_UINT32: reflection.SetUInt32(&message, field, field->default_value_uint32()); break;
      case FieldDescriptor::CPPTYPE_UINT64: reflection.SetUInt64(&message, field, field->default_value_uint64()); break;
      case FieldDescriptor::CPPTYPE_ENUM: reflection.SetEnum(&message, field, field->default_value_enum()); break;
      case FieldDescriptor::CPPTYPE_STRING: reflection.SetString(&message, field, field->default_value_string()); break;
      default: throw std::logic_error("experiment.proto: no default is filled in for " + field->full_name());
    }
  }
}

double number_of(const pb::Message& message, const FieldDescriptor* field) {
  const pb::Reflection& reflection = *message.GetReflection();
  switch (field->cpp_type()) {
    case FieldDescriptor::CPPTYPE_DOUBLE: return reflection.GetDouble(message, field);
    case FieldDescriptor::CPPTYPE_UINT32: return reflection.GetUInt32(message, field);
    case FieldDescriptor::CPPTYPE_UINT64: return static_cast<double>(reflection.GetUInt64(message, field));
    default: throw std::logic_error("experiment.proto: a range on " + field->full_name());
  }
}

std::string short_number(double value) {
  std::ostringstream stream;
  stream << value;
  return stream.str();
}

void check_range(const pb::Message& message, const FieldDescriptor* field, const std::string& where,
                 const std::string& path) {
  const pb::FieldOptions& options = field->options();
  std::vector<std::string> limits;
  bool inside = true;
  const bool numeric = field->cpp_type() == FieldDescriptor::CPPTYPE_DOUBLE ||
                       options.HasExtension(proto::min) || options.HasExtension(proto::max);
  if (!numeric) return;
  const double value = number_of(message, field);
  const auto limit = [&](const auto& extension, const std::string& sign, auto holds) {
    if (!options.HasExtension(extension)) return;
    const double bound = options.GetExtension(extension);
    limits.push_back(sign + " " + short_number(bound));
    inside = inside && holds(value, bound);  // false for NaN
  };
  limit(proto::min, ">=", std::greater_equal<>());
  limit(proto::above, ">", std::greater<>());
  limit(proto::max, "<=", std::less_equal<>());
  limit(proto::below, "<", std::less<>());
  if (!inside)
    throw UserError(where + ": " + path + " is " + short_number(value) + ", expected a value " + join(limits));
}

void check_fields(const pb::Message& message, const std::string& prefix, const Origins& origins,
                  const TextFormat::ParseInfoTree* tree) {
  const pb::Reflection& reflection = *message.GetReflection();
  const pb::Descriptor& descriptor = *message.GetDescriptor();
  for (int i = 0; i < descriptor.field_count(); ++i) {
    const FieldDescriptor* field = descriptor.field(i);
    const std::string path = prefix + field->name();
    if (field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
      const int n = field->is_repeated() ? reflection.FieldSize(message, field) : 1;
      for (int k = 0; k < n; ++k) {
        const int index = field->is_repeated() ? k : -1;
        const pb::Message& nested = field->is_repeated()
                                        ? reflection.GetRepeatedMessage(message, field, k)
                                        : reflection.GetMessage(message, field);
        const auto* nested_tree = tree == nullptr ? nullptr : tree->GetTreeForNested(field, index);
        std::string nested_prefix = path + ".";
        if (const auto* layer = dynamic_cast<const proto::Layer*>(&nested))
          nested_prefix += layer->name() + ".";
        check_fields(nested, nested_prefix, origins, nested_tree);
      }
      continue;
    }
    if (!reflection.HasField(message, field)) continue;
    const std::string where = origins.of(path, field, -1, tree);
    check_range(message, field, where, path);
    if (field->options().HasExtension(proto::one_of)) {
      const std::string names = names_in_table(field->options().GetExtension(proto::one_of));
      const std::string name = reflection.GetString(message, field);
      if (!is_listed(names, name))
        throw UserError(where + ": " + path + " is '" + name + "', expected one of " + names);
    }
  }
}

bool is_name(const std::string& name) {
  const auto allowed = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
  };
  return !name.empty() && name.size() <= 64 && std::all_of(name.begin(), name.end(), allowed);
}

// ---- What a schema cannot say

void check_network(const proto::Experiment& settings, const ImageShape& image, const Origins& origins) {
  const FieldDescriptor* layer_field = settings.GetDescriptor()->FindFieldByName("layer");
  const auto line_of_layer = [&](int i) { return origins.of("", layer_field, i, &origins.tree()); };
  if (!is_name(settings.name()))
    throw UserError(origins.file() + ": name is '" + settings.name() + "', expected letters, digits, '_' and '-'");
  if (settings.layer_size() == 0)
    throw UserError(origins.file() + ": no layer, expected at least one: layer { name: \"output\" units: " +
                    std::to_string(image.classes) + " }");
  if (static_cast<std::size_t>(settings.layer_size()) > layers_max)
    throw UserError(origins.file() + ": " + std::to_string(settings.layer_size()) +
                    " layers, expected at most " + std::to_string(layers_max));
  std::set<std::string> names{"source", "readout", "coordinator"};
  for (int i = 0; i < settings.layer_size(); ++i) {
    const proto::Layer& layer = settings.layer(i);
    if (!is_name(layer.name()))
      throw UserError(line_of_layer(i) + ": a layer is called '" + layer.name() +
                      "', expected a name of letters, digits, '_' and '-'");
    if (!names.insert(layer.name()).second)
      throw UserError(line_of_layer(i) + ": the layer name '" + layer.name() +
                      "' is taken, expected one of its own");
    if (!layer.has_units())
      throw UserError(line_of_layer(i) + ": layer '" + layer.name() + "' has no units, expected units: N");
  }
  const proto::Layer& output = settings.layer(settings.layer_size() - 1);
  if (output.units() != static_cast<std::uint32_t>(image.classes))
    throw UserError(origins.of("layer." + output.name() + ".units", layer_field, settings.layer_size() - 1,
                               &origins.tree()) +
                    ": the last layer '" + output.name() + "' has " + std::to_string(output.units()) +
                    " units, expected " + std::to_string(image.classes) + ", the classes of " +
                    settings.data().format());
  const proto::Decorrelation& decorrelation = settings.decorrelation();
  if (decorrelation.demean() == proto::Demean::batch && settings.learning().batch_size() == 1)
    throw UserError(origins.file() +
                    ": decorrelation.demean is batch with learning.batch_size 1: the mean of one sample is "
                    "the sample; expected demean: running (or none), or a larger batch");
  if (decorrelation.step() > 0 && decorrelation.integrator() == "chebyshev")
    throw UserError(origins.of("decorrelation.step", nullptr, -1, nullptr) +
                    ": decorrelation.step is " + short_number(decorrelation.step()) +
                    " with integrator chebyshev, which has no fixed step; expected 0");
}

// ---- To plain structs

Gain to_gain(proto::Gain::Kind kind) {
  switch (kind) {
    case proto::Gain::norm_ratio: return Gain::norm_ratio;
    case proto::Gain::per_unit: return Gain::per_unit;
    case proto::Gain::none: return Gain::none;
  }
  throw std::logic_error("gain");
}

Demean to_demean(proto::Demean::Kind kind) {
  switch (kind) {
    case proto::Demean::batch: return Demean::batch;
    case proto::Demean::running: return Demean::running;
    case proto::Demean::none: return Demean::none;
  }
  throw std::logic_error("demean");
}

DecorrelatorParams to_decorrelator(const proto::Decorrelation& settings) {
  DecorrelatorParams params;
  params.rule = find_entry(decorrelation_table(), settings.rule());
  params.rule_params.learning_rate = static_cast<Scalar>(settings.learning_rate());
  params.rule_params.gain = to_gain(settings.gain());
  params.rule_params.gain_reference = settings.gain_reference() == proto::GainReference::centred
                                          ? GainReference::centred
                                          : GainReference::raw;
  params.rule_params.update =
      settings.update() == proto::Update::implicit ? MatrixUpdate::implicit : MatrixUpdate::exact;
  params.mode = settings.mode() == proto::Mode::settled ? DecorrelationMode::settled
                                                        : DecorrelationMode::closed_form;
  params.demean = to_demean(settings.demean());
  params.sample_fraction = settings.sample_fraction();
  params.null_directions = settings.null_directions() == proto::NullDirections::freeze
                               ? NullDirections::freeze
                               : NullDirections::grow;
  params.integrator = find_entry(integrator_table(), settings.integrator());
  params.settle.tolerance = static_cast<Scalar>(settings.tolerance());
  params.settle.max_steps = static_cast<int>(settings.max_steps());
  params.settle.step = static_cast<Scalar>(settings.step());
  params.warm_start = settings.warm_start();
  return params;
}

Experiment to_experiment(const proto::Experiment& settings) {
  const proto::Learning& learning = settings.learning();
  Experiment experiment;
  experiment.name = settings.name();
  experiment.seed = settings.seed();
  experiment.data_format = settings.data().format();
  experiment.make_data_format = find_entry(data_format_table(), settings.data().format());
  experiment.generated = {.seed = settings.seed(),
                          .train_samples = static_cast<int>(settings.data().generated().train_samples()),
                          .test_samples = static_cast<int>(settings.data().generated().test_samples()),
                          .size = static_cast<int>(settings.data().generated().size()),
                          .noise = settings.data().generated().noise()};
  experiment.image = experiment.make_data_format()->shape(experiment.generated);
  experiment.batches = {.batch_size = static_cast<int>(learning.batch_size()),
                        .shuffle = learning.shuffle(),
                        .train_limit = static_cast<int>(settings.data().train_limit()),
                        .test_limit = static_cast<int>(settings.data().test_limit()),
                        .validation_samples = static_cast<int>(settings.data().validation_samples()),
                        .crop_padding = static_cast<int>(settings.data().crop_padding()),
                        .horizontal_flip = settings.data().horizontal_flip(),
                        .seed = settings.seed()};
  experiment.make_loss = find_entry(loss_table(), learning.loss());
  MakeCreditRule* credit = find_entry(credit_table(), learning.credit());
  const std::unique_ptr<CreditRule> rule = credit();
  experiment.signal = rule->signal();
  experiment.credit_is_exact = rule->is_exact();
  experiment.epochs = static_cast<int>(learning.epochs());
  experiment.stop_when_unsettled = settings.decorrelation().unsettled() == proto::Unsettled::stop;
  experiment.probe_interval = settings.recording().probe_interval();

  Index inputs = experiment.image.pixels();
  for (const proto::Layer& layer : settings.layer()) {
    DenseLayerParams params;
    params.inputs = inputs;
    params.units = layer.units();
    params.classes = experiment.image.classes;
    params.activation = find_entry(activation_table(), layer.activation());
    params.credit = credit;
    params.sigma = learning.sigma();
    params.feedback_through_decorrelation = learning.feedback_through_decorrelation();
    params.optimizer = find_entry(optimizer_table(), learning.optimizer());
    params.optimizer_params = {.learning_rate = learning.learning_rate(),
                               .momentum = learning.momentum(),
                               .beta1 = learning.beta1(),
                               .beta2 = learning.beta2(),
                               .epsilon = learning.epsilon()};
    params.decorrelator = to_decorrelator(settings.decorrelation());
    params.decorrelator.batch = learning.batch_size();
    experiment.layers.push_back({layer.name(), params});
    inputs = params.units;
  }
  experiment.layers.back().params.is_output = true;
  return experiment;
}

}  // namespace

std::size_t Experiment::batch_bytes_max() const {
  Index widest = image.pixels();
  for (const LayerSpec& layer : layers) widest = std::max(widest, layer.params.units);
  return static_cast<std::size_t>(widest) * static_cast<std::size_t>(batches.batch_size) * sizeof(float);
}

std::size_t Experiment::tensor_bytes_max() const {
  std::size_t largest = batch_bytes_max();  // a warm start keeps a batch
  for (const LayerSpec& layer : layers) {
    const auto inputs = static_cast<std::size_t>(layer.params.inputs);
    const auto units = static_cast<std::size_t>(layer.params.units);
    const auto classes = static_cast<std::size_t>(layer.params.classes);
    largest = std::max({largest, inputs * inputs * sizeof(float), inputs * units * sizeof(float),
                        units * classes * sizeof(float), 2 * inputs * sizeof(float)});
  }
  return largest;
}

Experiment load_experiment(const std::filesystem::path& file, const std::vector<std::string>& sets) {
  std::error_code missing;
  if (!std::filesystem::is_regular_file(file, missing))
    throw UserError(file.string() + ": no such experiment file");
  const auto bytes = std::filesystem::file_size(file, missing);
  if (bytes > experiment_bytes_max)
    throw UserError(file.string() + ": " + std::to_string(bytes) + " bytes, expected at most " +
                    std::to_string(experiment_bytes_max));
  std::ifstream stream{file, std::ios::binary};
  if (!stream) throw UserError(file.string() + ": cannot be read");
  const std::string text{std::istreambuf_iterator<char>{stream}, {}};
  return parse_experiment(text, file.string(), sets);
}

Experiment parse_experiment(std::string_view text, const std::string& origin,
                            const std::vector<std::string>& sets) {
  proto::Experiment settings;
  TextFormat::ParseInfoTree tree;
  TextFormat::Parser parser;
  FirstError error;
  parser.RecordErrorsTo(&error);
  parser.WriteLocationsTo(&tree);
  if (!parser.ParseFromString(std::string(text), &settings)) {
    const auto unprintable = [](char c) {
      const auto byte = static_cast<unsigned char>(c);
      return byte == 0x7f || (byte < 0x20 && c != '\n' && c != '\t' && c != '\r');
    };
    if (std::any_of(text.begin(), text.end(), unprintable))
      throw UserError(origin + ": binary, expected an experiment in Protocol Buffers text format");
    throw UserError(origin + ":" + error.text());
  }
  Origins origins{origin, tree};
  for (const std::string& flag : sets) apply_set(settings, flag, origins);
  fill_defaults(settings);
  check_fields(settings, "", origins, &tree);
  // The one default that depends on another field.
  if (!settings.decorrelation().has_demean())
    settings.mutable_decorrelation()->set_demean(settings.decorrelation().rule() == "none"
                                                     ? proto::Demean::none
                                                     : proto::Demean::batch);
  const GeneratedParams generated{.size = static_cast<int>(settings.data().generated().size())};
  const ImageShape image = find_entry(data_format_table(), settings.data().format())()->shape(generated);
  check_network(settings, image, origins);

  Experiment experiment = to_experiment(settings);
  TextFormat::PrintToString(settings, &experiment.text);
  experiment.digest = sha256(experiment.text);
  return experiment;
}

bool differs_only_in_epochs(const std::string& text, const std::string& other, const std::string& origin) {
  const std::vector<std::string> same{"learning.epochs=1"};
  return parse_experiment(text, "", same).text == parse_experiment(other, "the experiment in " + origin, same).text;
}

}  // namespace lateral
