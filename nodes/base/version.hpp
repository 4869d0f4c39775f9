// The version of the program, which is written into every result.
#pragma once

#include <string>

namespace lateral {

/// "0.1.0", and the commit it was built from where that is known: "0.1.0+1a2b3c4".
std::string version();

}  // namespace lateral
