// Start checks: what can be wrong with a set of ranks before they train, said once, in words, with
// all ranks ending together. On one host they cost a few small messages.
//
//   world      do all ranks run the same experiment, Triga and plugins, on devices that fit together?
//   run folder does every host see it? (once rank 0 has taken it)
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "base/files.h"
#include "comm/communicator.h"
#include "trainer/run_directory.h"
#include "trainer/start_facts.h"

namespace triga {

/// `experiment`: as resolved, in YAML; its hash and this rank's host are added to `facts`. Returns,
/// on rank 0, sentences for the user. Throws: ConfigError on rank 0, SaidByFirstRank on the others.
/// Collective.
std::vector<std::string> check_ranks(Communicator& world, RankFacts facts,
                                     const std::string& experiment);

/// One rank of each host reads the lease that rank 0 has written (`token`: its content), for
/// `patience` at most: NFS shows new files late. Throws: ConfigError on rank 0, SaidByFirstRank on
/// the others, naming hosts that do not see it. Collective.
void check_hosts_see_run(Communicator& world, FileSystem& files, const RunDirectory& directory,
                         const std::string& token, std::chrono::milliseconds patience);

}  // namespace triga
