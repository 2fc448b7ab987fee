# How everything of ours is compiled: C++20, warnings as errors, ccache, outputs laid out like the install tree
# (bin/, lib/, lib/triga/plugins/) so that the command finds its plugins in both in the same way.
option(TRIGA_BUILD_TESTS "Build the tests" ON)
option(TRIGA_PRECOMPILED_HEADERS "Precompile LibTorch's headers (worth it with clang)" OFF)
set(TRIGA_SANITIZE "" CACHE STRING "Sanitizers for own code, e.g. address,undefined")

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)
set(CMAKE_LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/lib)
set(TRIGA_PLUGIN_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/lib/triga/plugins)
add_link_options(LINKER:--disable-new-dtags)   # DT_RPATH: see TrigaInstall

if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release)
endif()

find_program(TRIGA_CCACHE ccache)
if(TRIGA_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  set(CMAKE_CXX_COMPILER_LAUNCHER
      ${CMAKE_COMMAND} -E env CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime
      ${TRIGA_CCACHE})
endif()

add_library(triga_flags INTERFACE)
target_compile_options(triga_flags INTERFACE -Wall -Wextra -Werror -g1)
# Where g++ 12 is wrong, or stricter than the language: "text" + std::string (GCC bug 105651), strings in aggregates,
# designated initialisers that leave out what has a default, GoogleTest's macros below an `if` without braces.
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  target_compile_options(triga_flags INTERFACE
    -Wno-restrict -Wno-maybe-uninitialized -Wno-missing-field-initializers -Wno-dangling-else)
endif()
if(TRIGA_SANITIZE)
  target_compile_options(triga_flags INTERFACE -fsanitize=${TRIGA_SANITIZE} -fno-omit-frame-pointer)
  target_link_options(triga_flags INTERFACE -fsanitize=${TRIGA_SANITIZE})
endif()

# LibTorch's headers (and GoogleTest's) are precompiled once for all targets, not once a target: 16 s and 150 MB each.
# Such a header can be shared only between targets with the same code model, so programs are compiled like libraries.
set(CMAKE_CXX_COMPILE_OPTIONS_PIE -fPIC)

# triga_precompile(target...): a no-op unless the preset asks for it. Call it last: it looks at what a target links
# (GoogleTest's headers, CLI11's) and at its visibility (hidden in plugins).
function(triga_precompile)
  if(NOT TRIGA_PRECOMPILED_HEADERS)
    return()
  endif()
  foreach(target ${ARGV})
    get_target_property(libraries ${target} LINK_LIBRARIES)
    get_target_property(visibility ${target} CXX_VISIBILITY_PRESET)
    if("${libraries}" MATCHES "GTest::")
      set(owner triga_precompiled_test)
    elseif("${libraries}" MATCHES "CLI11::")
      set(owner triga_precompiled_command)
    elseif(visibility STREQUAL "hidden")
      set(owner triga_precompiled_plugin)
    else()
      set(owner triga_precompiled)
    endif()
    triga_precompiled_target(${owner})
    target_precompile_headers(${target} REUSE_FROM ${owner})
    triga_precompile_options(${target})
  endforeach()
endfunction()

function(triga_precompile_options target)
  if(CMAKE_CXX_COMPILER_ID MATCHES Clang)
    target_compile_options(${target} PRIVATE -fpch-instantiate-templates "SHELL:-Xclang -fno-pch-timestamp")
  endif()
endfunction()

# The target that owns a precompiled header: an empty source and the headers that most of our sources include.
function(triga_precompiled_target name)
  if(TARGET ${name})
    return()
  endif()
  set(source ${CMAKE_BINARY_DIR}/precompiled/${name}.cpp)
  if(NOT EXISTS ${source})
    file(WRITE ${source} "")
  endif()
  add_library(${name} OBJECT ${source})
  target_link_libraries(${name} PRIVATE torch_cpu triga_flags)
  if(name STREQUAL "triga_precompiled_test")
    target_link_libraries(${name} PRIVATE GTest::gmock)
    target_precompile_headers(${name} PRIVATE <gmock/gmock.h> <gtest/gtest.h>)
  elseif(name STREQUAL "triga_precompiled_command")
    target_link_libraries(${name} PRIVATE CLI11::CLI11 fmt::fmt nlohmann_json::nlohmann_json)
    target_precompile_headers(${name} PRIVATE <CLI/CLI.hpp> <fmt/format.h> <nlohmann/json.hpp>)
  elseif(name STREQUAL "triga_precompiled_plugin")
    set_target_properties(${name} PROPERTIES CXX_VISIBILITY_PRESET hidden VISIBILITY_INLINES_HIDDEN ON)
  endif()
  target_precompile_headers(${name} PRIVATE <ATen/ATen.h> <torch/csrc/autograd/autograd.h>
    <torch/csrc/autograd/custom_function.h> <algorithm> <filesystem> <functional> <map> <memory> <optional> <string>
    <vector>)
  triga_precompile_options(${name})
endfunction()
