// Settings: an experiment file with --set applied and defaults filled in, and the origin of each
// value.
#pragma once

#include <google/protobuf/text_format.h>

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "proto/experiment.pb.h"

namespace lateral {

/// "a, b, c": the names that a table of rules offers (option one_of in experiment.proto).
using NamesInTable = std::function<std::string(const std::string& table)>;

/// Reads Protocol Buffers text format; `locations`, if not null, receives the position of each
/// field. Throws UserError naming `origin`, line and column.
void parse_text(std::string_view text, const std::string& origin,
                google::protobuf::Message& message,
                google::protobuf::TextFormat::ParseInfoTree* locations = nullptr);

/// Checks types, ranges and names of tables as the schema declares them. The meaning of the fields
/// is not checked here.
class Settings {
 public:
  /// Throws UserError naming file and line, or the --set, and what was expected.
  Settings(std::string_view text, std::string origin, const std::vector<std::string>& sets,
           const NamesInTable& names_in_table);

  const proto::Experiment& values() const { return values_; }
  proto::Experiment& values() { return values_; }
  const std::string& origin() const { return origin_; }
  /// "FILE:LINE" of the field at a dotted path, "--set …" if the value comes from there, or "FILE".
  std::string where_is(const std::string& path) const { return where(path, nullptr, -1, nullptr); }
  /// The same of layer `index`, or of one of its fields.
  std::string where_is_layer(int index, const std::string& field = "") const;

 private:
  std::string where(const std::string& path, const google::protobuf::FieldDescriptor* field,
                    int index, const google::protobuf::TextFormat::ParseInfoTree* tree) const;
  void check_fields(const google::protobuf::Message& message, const std::string& prefix,
                    const google::protobuf::TextFormat::ParseInfoTree* tree,
                    const NamesInTable& names_in_table) const;

  proto::Experiment values_;
  std::string origin_;
  google::protobuf::TextFormat::ParseInfoTree tree_;
  std::map<std::string, std::string> flags_;  // by path
};

}  // namespace lateral
