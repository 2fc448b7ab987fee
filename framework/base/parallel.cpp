#include "base/parallel.h"

#include <ATen/Parallel.h>
#include <dlfcn.h>

#include <algorithm>

namespace triga {
namespace {

/// What GNU's OpenMP run time offers to the code that a compiler makes of `omp parallel`; LLVM's
/// and Intel's offer it too. Found in whichever LibTorch brought along.
struct OpenMp {
  void (*parallel)(void (*function)(void*), void* data, unsigned num_threads, unsigned flags);
  int (*thread_number)();
  int (*num_threads)();

  OpenMp() {
    find(parallel, "GOMP_parallel");
    find(thread_number, "omp_get_thread_num");
    find(num_threads, "omp_get_num_threads");
  }
  bool is_there() const { return parallel && thread_number && num_threads; }

 private:
  template <class Function>
  static void find(Function& function, const char* name) {
    function = reinterpret_cast<Function>(::dlsym(RTLD_DEFAULT, name));
  }
};

const OpenMp& open_mp() {
  static const OpenMp functions;
  return functions;
}

struct Job {
  int64_t size, most_pieces;
  c10::function_ref<void(int64_t, int64_t)> body;
};

void run_piece(void* data) {
  const Job& job = *static_cast<const Job*>(data);
  const int64_t num_pieces = std::min<int64_t>(open_mp().num_threads(), job.most_pieces);
  const int64_t length = (job.size + num_pieces - 1) / num_pieces;
  const int64_t begin = open_mp().thread_number() * length;
  if (begin < job.size) job.body(begin, std::min(job.size, begin + length));
}

}  // namespace

void parallel_for(int64_t size, int64_t grain,
                  c10::function_ref<void(int64_t begin, int64_t end)> body) {
  if (size <= 0) return;
  const int64_t most_pieces = std::max<int64_t>(1, size / std::max<int64_t>(1, grain));
  if (most_pieces == 1 || at::get_num_threads() == 1 || at::in_parallel_region() ||
      !open_mp().is_there())
    return body(0, size);
  Job job{size, most_pieces, body};
  open_mp().parallel(&run_piece, &job, /*num_threads=*/0, /*flags=*/0);
}

}  // namespace triga
