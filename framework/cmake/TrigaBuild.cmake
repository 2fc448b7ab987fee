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
set(CMAKE_BUILD_WITH_INSTALL_RPATH OFF)

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
if(TRIGA_SANITIZE)
  target_compile_options(triga_flags INTERFACE -fsanitize=${TRIGA_SANITIZE} -fno-omit-frame-pointer)
  target_link_options(triga_flags INTERFACE -fsanitize=${TRIGA_SANITIZE})
endif()

# triga_precompile(target header...): a no-op unless the preset asks for it.
function(triga_precompile target)
  if(NOT TRIGA_PRECOMPILED_HEADERS)
    return()
  endif()
  target_precompile_headers(${target} PRIVATE ${ARGN})
  if(CMAKE_CXX_COMPILER_ID MATCHES Clang)
    target_compile_options(${target} PRIVATE -fpch-instantiate-templates "SHELL:-Xclang -fno-pch-timestamp")
  endif()
endfunction()
