#include "launchers/world.h"

#include <torch/version.h>
#include <unistd.h>

#include <iostream>
#include <nlohmann/json.hpp>

#include "base/foreign_errors.h"
#include "comm/host_leaders.h"
#include "comm/local_communicator.h"
#include "comm/mpi_communicator.h"
#include "launchers/command.h"
#include "parallel/pipeline/schedule_text.h"
#include "trainer/from_first_rank.h"
#include "trainer/start_checks.h"

namespace triga {
namespace {

/// In a thread beside the one that waits in MPI.
void give_up_start(const std::string& problem) {
  std::cerr << "triga: error: " << problem << std::endl;
  ::_exit(static_cast<int>(ExitStatus::kCommunication));
}

std::unique_ptr<Communicator> open_host_world(const CommandEnvironment& environment,
                                              std::chrono::milliseconds deadline) {
  if (!environment.placement.is_launched() || environment.placement.world_size == 1)
    return make_single_communicator();
  MpiOptions options;
  options.deadline = deadline;
  options.on_late = give_up_start;
  return open_mpi_world(options);
}

/// Of worlds that should have been one, only that of the launcher's first process talks.
void check_size(const Placement& placement, const Communicator& world) {
  const std::string problem = world_problem(placement, world.size());
  if (problem.empty()) return;
  if (placement.rank == 0) throw ConfigError(problem);
  throw SaidByFirstRank(problem, ExitStatus::kUsage);
}

RankFacts facts_of(const CommandEnvironment& environment, const LoadedExperiment& loaded) {
  RankFacts facts;
  facts.same = loaded.kinds().identities();
  facts.same["Triga"] = own_version();
  facts.same["LibTorch"] = TORCH_VERSION;
  facts.device = loaded.device().is_cuda() ? "a GPU" : "CPU";
  facts.gpu = loaded.device().identity();
  facts.nccl_host = environment.nccl_host;
  return facts;
}

/// With a schedule of the user's own, which is a file beside it.
std::string experiment_of(const LoadedExperiment& loaded) {
  std::string text = write_resolved(loaded.resolved().node);
  if (const auto own = schedule_choice_of(loaded.experiment().parallel).own)
    text += "schedule: " + nlohmann::json(to_csv(*own)).dump() + "\n";
  return text;
}

/// A job has hosts on which nobody started a rank.
void add_unused_hosts(const CommandEnvironment& environment, const Communicator& world,
                      std::vector<std::string>& notes) {
  const auto num_hosts = static_cast<int>(host_leaders(world).size());
  if (!environment.placement.is_launched() || !environment.allocation || world.rank() != 0 ||
      environment.allocation->num_hosts <= num_hosts)
    return;
  notes.push_back(c10::str("this is ", describe(*environment.allocation), ", and ",
                           num_hosts == 1 ? "all ranks are on one host"
                                          : c10::str("the ranks are on ", num_hosts, " of them")));
}

/// In a catch block.
[[noreturn]] void leave_with(const Communicator& world,
                             const std::function<void(const Error&, const Communicator&)>& leave) {
  try {
    rethrow_as_error();
  } catch (const Error& error) {
    leave(error, world);
    throw;
  }
}

}  // namespace

CheckedWorld open_world(const CommandEnvironment& environment, const LoadedExperiment& loaded,
                        const std::function<void(const Error&, const Communicator&)>& leave) {
  const auto deadline = std::chrono::milliseconds(
      static_cast<int64_t>(loaded.experiment().parallel.communication_timeout * 1000));
  CheckedWorld checked;
  checked.world = open_host_world(environment, deadline);
  try {
    check_size(environment.placement, *checked.world);
    checked.notes =
        check_ranks(*checked.world, facts_of(environment, loaded), experiment_of(loaded));
    add_unused_hosts(environment, *checked.world, checked.notes);
  } catch (...) {
    leave_with(*checked.world, leave);
  }
  checked.world = loaded.device().attach(std::move(checked.world), deadline);
  return checked;
}

}  // namespace triga
