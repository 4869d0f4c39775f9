// Options that several commands have.
#pragma once

#include <string>
#include <vector>

#include "nodes/command/command.hpp"
#include "nodes/experiment/data_folders.hpp"

namespace lateral {

/// --data DIR
void add_data_option(CommandLine& line, std::string& folder);
/// Where data are looked for: in this folder, given by --data, or in that of the environment
/// variable LATERAL_DATA.
DataFolders data_folders(const std::string& given);
/// --set PATH=VALUE
void add_set_option(CommandLine& line, std::vector<std::string>& sets);
/// --plugin FILE
void add_plugin_option(CommandLine& line, std::vector<std::string>& files);

void load_plugins(const std::vector<std::string>& files);

}  // namespace lateral
