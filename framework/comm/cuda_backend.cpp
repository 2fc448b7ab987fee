#include "comm/cuda_backend.h"

#include <dlfcn.h>

#include <boost/dll/runtime_symbol_info.hpp>
#include <boost/dll/shared_library.hpp>

#include "comm/cuda_entry.h"

namespace triga {
namespace {

std::filesystem::path library_of(const CudaOptions& options) {
  if (!options.library.empty()) return options.library;
  return boost::dll::this_line_location().parent_path().string() + "/libtriga_cuda.so";
}

}  // namespace

bool has_cuda_library(const CudaOptions& options) {
  return std::filesystem::exists(library_of(options));
}

CudaBackend& open_cuda(const CudaOptions& options) {
  const std::filesystem::path path = library_of(options);
  if (!std::filesystem::exists(path))
    throw Error(c10::str("this build of Triga has no CUDA: there is no ", path.string(),
                         "; './dev build --cuda' builds it"));
  boost::system::error_code error;
  ::dlerror();
  // Never closed: LibTorch keeps what its libraries registered.
  static boost::dll::shared_library library;
  library.load(path.string(), boost::dll::load_mode::rtld_now, error);
  if (error) {
    const char* text = ::dlerror();
    throw Error(c10::str("cannot open ", path.string(), ": ", text ? text : error.message(),
                         "\n  './dev build --cuda' brings what is missing"));
  }
  return *library.get<OpenCudaBackend>(kOpenCudaBackend)();
}

}  // namespace triga
