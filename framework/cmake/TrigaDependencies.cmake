# LibTorch comes from the torch wheel (TRIGA_TORCH, default .deps/torch) as hand-written imported targets:
# find_package(Torch) fails without CUDA and links libtorch_cuda into everything.
set(TRIGA_TORCH "$ENV{TRIGA_TORCH}" CACHE PATH "Folder with LibTorch's include/ and lib/")
if(NOT TRIGA_TORCH)
  set(TRIGA_TORCH ${CMAKE_SOURCE_DIR}/.deps/torch)
endif()
if(NOT EXISTS ${TRIGA_TORCH}/lib/libtorch_cpu.so)
  message(FATAL_ERROR "No LibTorch in ${TRIGA_TORCH}: run ./dev build, or set TRIGA_TORCH to the folder "
                      "that holds include/ and lib/libtorch_cpu.so")
endif()

add_library(torch_c10 SHARED IMPORTED GLOBAL)
set_target_properties(torch_c10 PROPERTIES IMPORTED_LOCATION ${TRIGA_TORCH}/lib/libc10.so)
add_library(torch_cpu SHARED IMPORTED GLOBAL)
set_target_properties(torch_cpu PROPERTIES
  IMPORTED_LOCATION ${TRIGA_TORCH}/lib/libtorch_cpu.so
  INTERFACE_COMPILE_DEFINITIONS AT_PER_OPERATOR_HEADERS
  INTERFACE_LINK_LIBRARIES torch_c10)

# CUDA, where there are a toolkit (TRIGA_CUDA: a folder with bin/nvcc and include/) and LibTorch's libraries for it.
set(TRIGA_CUDA "" CACHE PATH "CUDA toolkit for libtriga_cuda.so; empty: without CUDA")
if(TRIGA_CUDA)
  find_program(TRIGA_NVCC nvcc HINTS ${TRIGA_CUDA}/bin NO_DEFAULT_PATH REQUIRED)
  find_file(TRIGA_CUDART libcudart.so.13 HINTS ${TRIGA_CUDA}/lib64 ${TRIGA_CUDA}/lib NO_DEFAULT_PATH REQUIRED)
  find_file(TRIGA_NCCL libnccl.so.2 HINTS ${TRIGA_CUDA}/lib64 ${TRIGA_CUDA}/lib ${TRIGA_CUDA}/../nccl/lib NO_DEFAULT_PATH REQUIRED)
  find_path(TRIGA_NCCL_INCLUDE nccl.h HINTS ${TRIGA_CUDA}/include ${TRIGA_CUDA}/../nccl/include NO_DEFAULT_PATH REQUIRED)
  foreach(library torch_cuda c10_cuda)
    if(NOT EXISTS ${TRIGA_TORCH}/lib/lib${library}.so)
      message(FATAL_ERROR "The LibTorch in ${TRIGA_TORCH} has no lib${library}.so: './dev build --cuda' brings it")
    endif()
  endforeach()
  add_library(torch_c10_cuda SHARED IMPORTED GLOBAL)
  set_target_properties(torch_c10_cuda PROPERTIES IMPORTED_LOCATION ${TRIGA_TORCH}/lib/libc10_cuda.so)
  add_library(torch_cuda SHARED IMPORTED GLOBAL)
  set_target_properties(torch_cuda PROPERTIES IMPORTED_LOCATION ${TRIGA_TORCH}/lib/libtorch_cuda.so
    INTERFACE_INCLUDE_DIRECTORIES "${TRIGA_CUDA}/include;${TRIGA_NCCL_INCLUDE}"
    INTERFACE_LINK_LIBRARIES "torch_c10_cuda;${TRIGA_CUDART};${TRIGA_NCCL}"
    # What libtorch_cuda itself needs (cuBLAS, cuDNN, ...) is looked for when it is loaded, not when we link.
    INTERFACE_LINK_OPTIONS LINKER:--allow-shlib-undefined)
endif()

# LibTorch ships the headers of an fmt of its own, without the library: the system's fmt (and spdlog, built with it) must
# be found first.
foreach(library fmt spdlog)
  find_path(${library}_include_dir ${library} PATHS /usr/include /usr/local/include NO_DEFAULT_PATH REQUIRED)
  file(MAKE_DIRECTORY ${CMAKE_BINARY_DIR}/include_first)
  file(CREATE_LINK ${${library}_include_dir}/${library} ${CMAKE_BINARY_DIR}/include_first/${library} SYMBOLIC)
endforeach()
set_property(TARGET torch_cpu PROPERTY INTERFACE_INCLUDE_DIRECTORIES
  ${CMAKE_BINARY_DIR}/include_first ${TRIGA_TORCH}/include ${TRIGA_TORCH}/include/torch/csrc/api/include)

find_package(Threads REQUIRED)
find_package(yaml-cpp REQUIRED)
find_package(fmt REQUIRED)
find_package(spdlog REQUIRED)
find_package(nlohmann_json REQUIRED)
find_package(CLI11 REQUIRED)
find_package(Boost 1.74 REQUIRED COMPONENTS filesystem)
find_package(CURL REQUIRED)
find_package(OpenSSL REQUIRED COMPONENTS Crypto)   # SHA-256; libcurl brings it anyway
find_package(PNG REQUIRED)
find_package(ZLIB REQUIRED)                      # IDX files are usually packed; libpng brings it anyway
find_library(TRIGA_TURBOJPEG turbojpeg REQUIRED)
find_package(ICU REQUIRED COMPONENTS uc)         # Unicode's letters, numbers and spaces, for tokenizers
enable_language(C)               # MPI's C binding is looked for through the C compiler
find_package(MPI COMPONENTS C)   # optional: without it only the local communicator is built
