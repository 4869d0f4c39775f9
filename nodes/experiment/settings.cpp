// Parsing, --set, defaults and ranges, driven by the schema.
#include "nodes/experiment/settings.hpp"

#include <fmt/format.h>
#include <google/protobuf/io/tokenizer.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <sstream>

#include "nodes/base/failure.hpp"

namespace lateral {
namespace {

namespace pb = google::protobuf;
using pb::FieldDescriptor;
using pb::TextFormat;

std::string field_names(const pb::Descriptor& descriptor) {
  std::vector<std::string> names;
  for (int i = 0; i < descriptor.field_count(); ++i) names.push_back(descriptor.field(i)->name());
  return fmt::format("{}", fmt::join(names, ", "));
}

std::string value_names(const pb::EnumDescriptor& descriptor) {
  std::vector<std::string> names;
  for (int i = 0; i < descriptor.value_count(); ++i) names.push_back(descriptor.value(i)->name());
  return fmt::format("{}", fmt::join(names, ", "));
}

// A description of the values of this field, for "expected …".
std::string expected_form(const FieldDescriptor& field) {
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_BOOL:
      return "true or false";
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return "a number";
    case FieldDescriptor::CPPTYPE_UINT32:
      return "a whole number from 0 to 4294967295";
    case FieldDescriptor::CPPTYPE_UINT64:
      return "a whole number, 0 or more";
    case FieldDescriptor::CPPTYPE_ENUM:
      return "one of " + value_names(*field.enum_type());
    case FieldDescriptor::CPPTYPE_MESSAGE:
      return "a field of it: " + field_names(*field.message_type());
    default:
      return field.is_repeated() ? "words, separated by commas" : "a word";
  }
}

bool is_listed(const std::string& names, const std::string& name) {
  return (", " + names + ",").find(", " + name + ",") != std::string::npos && !name.empty();
}

class FirstError final : public pb::io::ErrorCollector {
 public:
  void AddError(int line, pb::io::ColumnNumber column, const std::string& message) override {
    if (!message_.empty()) return;
    where_ = line < 0 ? "" : fmt::format("{}:{}: ", line + 1, column + 1);
    message_ = message;
  }
  std::string text() const { return where_ + message_; }

 private:
  std::string where_, message_;
};

// ---- --set PATH=VALUE

/// The name of an element of a list: its first field.
const std::string& name_of(const pb::Message& element, std::string& scratch) {
  return element.GetReflection()->GetStringReference(element, element.GetDescriptor()->field(0),
                                                     &scratch);
}

/// The element with this name. A missing parameter or record is added; a missing layer is an error.
pb::Message& element_called(pb::Message& message, const FieldDescriptor* field,
                            const std::string& name, const std::string& flag) {
  const pb::Reflection& reflection = *message.GetReflection();
  std::vector<std::string> names;
  std::string scratch;
  for (int i = 0; i < reflection.FieldSize(message, field); ++i) {
    pb::Message& element = *reflection.MutableRepeatedMessage(&message, field, i);
    names.push_back(name_of(element, scratch));
    if (names.back() == name) return element;
  }
  if (field->message_type() == proto::Layer::descriptor())
    throw UserError(fmt::format("--set {}: no {} '{}', expected one of {}", flag, field->name(),
                                name, fmt::join(names, ", ")));
  pb::Message& added = *reflection.AddMessage(&message, field);
  added.GetReflection()->SetString(&added, added.GetDescriptor()->FindFieldByName("name"), name);
  return added;
}

/// Replaces the words of a list by these, which are separated by commas.
void set_words(pb::Message& message, const FieldDescriptor* field, const std::string& value) {
  message.GetReflection()->ClearField(&message, field);
  std::istringstream stream{value};
  for (std::string word; std::getline(stream, word, ',');)
    message.GetReflection()->AddString(&message, field, word);
}

/// Replaces the numbers of a list by these, which are separated by commas.
void set_numbers(pb::Message& message, const FieldDescriptor* field, const std::string& flag,
                 const std::string& value) {
  message.GetReflection()->ClearField(&message, field);
  std::istringstream stream{value};
  for (std::string word; std::getline(stream, word, ',');) {
    double number = 0;
    const char* const end = word.data() + word.size();
    const auto [stop, failure] = std::from_chars(word.data(), end, number);
    if (failure != std::errc{} || stop != end)
      throw UserError(
          fmt::format("--set {}: '{}', expected numbers, separated by commas", flag, word));
    message.GetReflection()->AddDouble(&message, field, number);
  }
}

/// Returns the path that was set.
std::string apply_set(proto::Experiment& experiment, const std::string& flag) {
  const std::size_t equals = flag.find('=');
  if (equals == std::string::npos || equals == 0)
    throw UserError(fmt::format("--set {}: expected PATH=VALUE, such as learning.epochs=2", flag));
  const std::string path = flag.substr(0, equals);
  const std::string value = flag.substr(equals + 1);

  std::vector<std::string> words;
  std::istringstream stream{path};
  for (std::string word; std::getline(stream, word, '.');) words.push_back(word);

  pb::Message* message = &experiment;
  std::string parsed;  // part of the path
  for (std::size_t i = 0; i < words.size(); ++i) {
    const FieldDescriptor* field = message->GetDescriptor()->FindFieldByName(words[i]);
    if (field == nullptr)
      throw UserError(fmt::format("--set {}: no field '{}', expected one of {}", flag, words[i],
                                  field_names(*message->GetDescriptor())));
    const bool last = i + 1 == words.size();
    if (field->is_repeated() && field->cpp_type() == FieldDescriptor::CPPTYPE_STRING && last) {
      set_words(*message, field, value);
      continue;
    }
    if (field->is_repeated() && field->cpp_type() == FieldDescriptor::CPPTYPE_DOUBLE && last) {
      set_numbers(*message, field, flag, value);
      continue;
    }
    if (field->is_repeated()) {  // layer.NAME.FIELD, record.NAME.FIELD, parameter.NAME
      if (field->message_type() == proto::Plugin::descriptor())
        throw UserError(fmt::format("--set {}: expected --plugin FILE", flag));
      const bool is_parameter = field->message_type() == proto::Parameter::descriptor();
      const std::size_t following = words.size() - i - 1;
      if (is_parameter && following == 1) words.push_back("value");
      if (is_parameter ? following != 1 : following < 2)
        throw UserError(fmt::format("--set {}: expected {}{}{}", flag, parsed, words[i],
                                    is_parameter ? ".NAME=VALUE" : ".NAME.FIELD=VALUE"));
      parsed += words[i] + "." + words[i + 1] + ".";
      message = &element_called(*message, field, words[++i], flag);
      continue;
    }
    if (field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
      if (last) throw UserError(fmt::format("--set {}: expected {}", flag, expected_form(*field)));
      message = message->GetReflection()->MutableMessage(message, field);
      parsed += words[i] + ".";
      continue;
    }
    if (!last) throw UserError(fmt::format("--set {}: '{}' has no fields", flag, words[i]));
    if (field->cpp_type() == FieldDescriptor::CPPTYPE_STRING) {
      message->GetReflection()->SetString(message, field, value);
    } else {
      TextFormat::Parser parser;
      FirstError error;
      parser.RecordErrorsTo(&error);
      // The text format would read 010 as eight, and take a comment.
      const std::string digits = value.substr(value.starts_with('-') ? 1 : 0);
      const bool octal = digits.size() > 1 && digits[0] == '0' && std::isdigit(digits[1]) != 0;
      if (value.empty() || octal || value.find_first_of("# \t\n") != std::string::npos ||
          !parser.ParseFieldValueFromString(value, field, message))
        throw UserError(
            fmt::format("--set {}: '{}', expected {}", flag, value, expected_form(*field)));
    }
  }
  return path;
}

// ---- Defaults and ranges, from the schema

// The effective configuration contains every field with its value.
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
    if (field->is_repeated() || reflection.HasField(message, field) || !field->has_default_value())
      continue;
    switch (field->cpp_type()) {
      case FieldDescriptor::CPPTYPE_BOOL:
        reflection.SetBool(&message, field, field->default_value_bool());
        break;
      case FieldDescriptor::CPPTYPE_DOUBLE:
        reflection.SetDouble(&message, field, field->default_value_double());
        break;
      case FieldDescriptor::CPPTYPE_UINT32:
        reflection.SetUInt32(&message, field, field->default_value_uint32());
        break;
      case FieldDescriptor::CPPTYPE_UINT64:
        reflection.SetUInt64(&message, field, field->default_value_uint64());
        break;
      case FieldDescriptor::CPPTYPE_ENUM:
        reflection.SetEnum(&message, field, field->default_value_enum());
        break;
      case FieldDescriptor::CPPTYPE_STRING:
        reflection.SetString(&message, field, field->default_value_string());
        break;
      default:
        throw std::logic_error(
            fmt::format("experiment.proto: no default is filled in for {}", field->full_name()));
    }
  }
}

double number_of(const pb::Message& message, const FieldDescriptor* field) {
  const pb::Reflection& reflection = *message.GetReflection();
  switch (field->cpp_type()) {
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return reflection.GetDouble(message, field);
    case FieldDescriptor::CPPTYPE_UINT32:
      return reflection.GetUInt32(message, field);
    case FieldDescriptor::CPPTYPE_UINT64:
      return static_cast<double>(reflection.GetUInt64(message, field));
    default:
      throw std::logic_error(fmt::format("experiment.proto: a range on {}", field->full_name()));
  }
}

std::string short_number(double value) { return fmt::format("{:g}", value); }

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
    limits.push_back(fmt::format("{} {}", sign, short_number(bound)));
    inside = inside && holds(value, bound);  // false for NaN
  };
  limit(proto::min, ">=", std::greater_equal<>());
  limit(proto::above, ">", std::greater<>());
  limit(proto::max, "<=", std::less_equal<>());
  limit(proto::below, "<", std::less<>());
  if (!inside)
    throw UserError(fmt::format("{}: {} is {}, expected a value {}", where, path,
                                short_number(value), fmt::join(limits, ", ")));
}

}  // namespace

void parse_text(std::string_view text, const std::string& origin, pb::Message& message,
                TextFormat::ParseInfoTree* locations) {
  TextFormat::Parser parser;
  FirstError error;
  parser.RecordErrorsTo(&error);
  parser.WriteLocationsTo(locations);
  if (!parser.ParseFromString(std::string(text), &message)) {
    const auto unprintable = [](char c) {
      const auto byte = static_cast<unsigned char>(c);
      return byte == 0x7f || (byte < 0x20 && c != '\n' && c != '\t' && c != '\r');
    };
    if (std::any_of(text.begin(), text.end(), unprintable))
      throw UserError(fmt::format(
          "{}: binary, expected an experiment in Protocol Buffers text format", origin));
    throw UserError(fmt::format("{}:{}", origin, error.text()));
  }
}

std::string Settings::where(const std::string& path, const FieldDescriptor* field, int index,
                            const TextFormat::ParseInfoTree* tree) const {
  if (const auto flag = flags_.find(path); flag != flags_.end()) return "--set " + flag->second;
  if (tree != nullptr && field != nullptr) {
    const auto location = tree->GetLocation(field, index);
    if (location.line >= 0) return fmt::format("{}:{}", origin_, location.line + 1);
  }
  return origin_;
}

std::string Settings::where_is_layer(int index, const std::string& field) const {
  const FieldDescriptor* layer = values_.GetDescriptor()->FindFieldByName("layer");
  return where("layer." + values_.layer(index).name() + "." + field, layer, index, &tree_);
}

void Settings::check_fields(const pb::Message& message, const std::string& prefix,
                            const TextFormat::ParseInfoTree* tree,
                            const NamesInTable& names_in_table) const {
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
        std::string scratch;
        if (field->is_repeated()) nested_prefix += name_of(nested, scratch) + ".";
        check_fields(nested, nested_prefix, nested_tree, names_in_table);
      }
      continue;
    }
    if (field->is_repeated() || !reflection.HasField(message, field)) continue;
    const std::string here = where(path, field, -1, tree);
    check_range(message, field, here, path);
    if (field->options().HasExtension(proto::one_of)) {
      const std::string names = names_in_table(field->options().GetExtension(proto::one_of));
      const std::string name = reflection.GetString(message, field);
      if (!is_listed(names, name))
        throw UserError(fmt::format("{}: {} is '{}', expected one of {}", here, path, name, names));
    }
  }
}

Settings::Settings(std::string_view text, std::string origin, const std::vector<std::string>& sets,
                   const NamesInTable& names_in_table)
    : origin_{std::move(origin)} {
  parse_text(text, origin_, values_, &tree_);
  for (const std::string& flag : sets) flags_[apply_set(values_, flag)] = flag;
  fill_defaults(values_);
  check_fields(values_, "", &tree_, names_in_table);
}

}  // namespace lateral
