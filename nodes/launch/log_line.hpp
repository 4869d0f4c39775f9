// log_line(): a line of a log, with the time.
#pragma once

#include <string>

namespace lateral {

/// "2026-01-31T12:00:00.123Z TEXT", in UTC, TEXT on one line.
std::string log_line(const std::string& text);

}  // namespace lateral
