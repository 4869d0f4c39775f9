# Writes OUT, the source of version(); leaves it untouched if the version is the same as before.
cmake_minimum_required(VERSION 3.25)
find_package(Git QUIET)
set(commit "")
if(GIT_FOUND)
  execute_process(COMMAND ${GIT_EXECUTABLE} -C ${SOURCE} rev-parse --short=9 HEAD
    OUTPUT_VARIABLE commit OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
endif()
if(commit)
  set(commit "+${commit}")
endif()
file(CONFIGURE OUTPUT ${OUT} @ONLY CONTENT
"#include \"nodes/base/version.hpp\"
std::string lateral::version() { return \"@VERSION@@commit@\"; }
")
