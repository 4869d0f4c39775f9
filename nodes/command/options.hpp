// Options that several commands have.
#pragma once

#include <string>
#include <vector>

#include "nodes/command/command.hpp"

namespace lateral {

/// --data DIR
void add_data_option(CommandLine& line, std::string& folder);
/// --set PATH=VALUE
void add_set_option(CommandLine& line, std::vector<std::string>& sets);
/// --plugin FILE
void add_plugin_option(CommandLine& line, std::vector<std::string>& files);

void load_plugins(const std::vector<std::string>& files);

}  // namespace lateral
