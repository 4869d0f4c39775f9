// What the program offers: every rule with its source, its parameters and what a synapse must see.
#pragma once

#include <string>

namespace lateral {

/// A listing of all rules, or of the one that is called `name`.  Throws UserError if none is.
std::string describe_rules(const std::string& name);

}  // namespace lateral
