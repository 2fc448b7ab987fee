// Runs a function on several ranks that are threads of this process.
#pragma once

#include <chrono>
#include <exception>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "comm/communicator.h"
#include "comm/local_communicator.h"

namespace triga::testing {

/// What each rank's function threw, by rank; null where it returned. A rank that threw tells the
/// others, as main() does.
inline std::vector<std::exception_ptr> run_ranks_catching(
    int num_ranks, const std::function<void(Communicator&)>& function,
    const LocalOptions& options = {.deadline = std::chrono::seconds(60), .hosts = {}}) {
  auto worlds = make_local_communicators(num_ranks, options);
  std::vector<std::exception_ptr> errors(num_ranks);
  std::vector<std::thread> threads;
  for (int rank = 0; rank < num_ranks; ++rank)
    threads.emplace_back([&, rank] {
      try {
        function(*worlds[rank]);
      } catch (const Error& error) {
        worlds[rank]->progress().mark_failed(error.what(), error.status());
        errors[rank] = std::current_exception();
      } catch (const std::exception& error) {
        worlds[rank]->progress().mark_failed(error.what(), ExitStatus::kInternal);
        errors[rank] = std::current_exception();
      }
      worlds[rank].reset();
    });
  for (auto& thread : threads) thread.join();
  return errors;
}

/// Throws what the first rank threw that did not merely notice the failure of another.
inline void run_ranks(int num_ranks, const std::function<void(Communicator&)>& function,
                      const std::vector<std::string>& hosts = {}) {
  std::exception_ptr noticed;
  const LocalOptions options{.deadline = std::chrono::seconds(60), .hosts = hosts};
  for (const auto& error : run_ranks_catching(num_ranks, function, options)) {
    if (!error) continue;
    try {
      std::rethrow_exception(error);
    } catch (const CommError&) {
      if (!noticed) noticed = error;
    }
  }
  if (noticed) std::rethrow_exception(noticed);
}

}  // namespace triga::testing
