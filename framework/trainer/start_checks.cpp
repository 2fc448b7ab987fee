#include "trainer/start_checks.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <xxhash.h>

#include <algorithm>
#include <thread>

#include "comm/host_leaders.h"
#include "config/resolve.h"
#include "trainer/from_first_rank.h"
#include "trainer/lease.h"

namespace triga {
namespace {

constexpr auto kBetweenLooks = std::chrono::milliseconds(100);

std::string hash_of(const std::string& text) {
  return fmt::format("{:016x}", XXH3_64bits(text.data(), text.size()));
}

/// What is wrong with what this host sees of the run; "": nothing.
std::string look_for_lease(FileSystem& files, const RunDirectory& directory,
                           const std::string& token) {
  try {
    if (!exists(files, directory.root)) return "there is no such folder";
    files.list(directory.root);  // a client of NFS asks its server anew
    const std::string found = lease_token(files, directory.lease());
    if (found == token) return "";
    return found.empty() ? "a folder in which no run has begun" : "a folder that another run holds";
  } catch (const FileError& error) {
    return error.what();
  }
}

std::string wait_for_lease(FileSystem& files, const RunDirectory& directory,
                           const std::string& token, std::chrono::milliseconds patience) {
  const auto end = std::chrono::steady_clock::now() + patience;
  while (true) {
    const std::string problem = look_for_lease(files, directory, token);
    if (problem.empty() || std::chrono::steady_clock::now() >= end) return problem;
    std::this_thread::sleep_for(kBetweenLooks);
  }
}

}  // namespace

std::vector<std::string> check_ranks(Communicator& world, RankFacts facts,
                                     const std::string& experiment) {
  facts.host = world.host(world.rank());
  facts.same[kExperimentFact] = hash_of(experiment);
  std::vector<RankFacts> ranks;
  for (const std::string& text : world.all_gather_text(to_text(facts), "what each rank is"))
    ranks.push_back(rank_facts_from_text(text));
  // All ranks have read the same, so all know whether there is more to say.
  const int other = first_with_another_experiment(ranks);
  std::vector<std::string> experiments;
  if (other != 0) experiments = world.all_gather_text(experiment, "experiments");
  from_first_rank(world, "start checks", [&]() -> std::string {
    if (const std::string misfit = find_misfit(ranks); !misfit.empty()) throw ConfigError(misfit);
    if (other != 0) {
      const auto of_other =
          read_resolved(experiments[static_cast<size_t>(other)], fmt::format("rank {}", other));
      const auto differences = all_differences(read_resolved(experiments[0], "rank 0"), of_other);
      throw ConfigError(another_experiment(ranks, other, differences));
    }
    return "";
  });
  return world.rank() == 0 ? shared_gpus(ranks) : std::vector<std::string>();
}

void check_hosts_see_run(Communicator& world, FileSystem& files, const RunDirectory& directory,
                         const std::string& token, std::chrono::milliseconds patience) {
  const std::vector<int> leaders = host_leaders(world);
  if (leaders.size() == 1) return;
  std::string mine;
  if (std::find(leaders.begin(), leaders.end(), world.rank()) != leaders.end())
    if (const auto problem = wait_for_lease(files, directory, token, patience); !problem.empty())
      mine = fmt::format("{} finds at {}: {}", world.host(world.rank()),
                         std::filesystem::absolute(directory.root).string(), problem);
  const auto all = world.all_gather_text(mine, "who sees the run's folder");
  from_first_rank(world, "run folder on all hosts", [&]() -> std::string {
    std::vector<std::string> problems;
    for (const std::string& problem : all)
      if (!problem.empty()) problems.push_back(problem);
    if (problems.empty()) return "";
    throw ConfigError(
        fmt::format("not every host sees the run's folder, in which rank 0 on {} has begun the "
                    "run:\n  {}\n  It must lie on a file system that all hosts share: --run-dir "
                    "DIR (triga doctor --run-dir DIR says what DIR lies on)",
                    world.host(0), fmt::join(problems, "\n  ")));
  });
}

}  // namespace triga
