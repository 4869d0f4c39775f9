# Writes OUT, a header: which headers program and plug-in were compiled with.
cmake_minimum_required(VERSION 3.25)
file(GLOB_RECURSE headers ${SOURCE}/core/*.hpp)
list(SORT headers)
list(APPEND headers ${SOURCE}/nodes/data/dataset.hpp ${SOURCE}/nodes/data/sample_array.hpp)
set(digests "")
foreach(header IN LISTS headers)
  file(SHA256 ${header} digest)
  string(APPEND digests ${digest})
endforeach()
string(SHA256 digest "${digests}")
string(SUBSTRING ${digest} 0 12 digest)
file(WRITE ${OUT}
"// Written by the build: the version of the program, and a digest of the headers of core/ and of those of data formats.
#pragma once

#define LATERAL_INTERFACE \"${VERSION} (interface ${digest})\"
")
