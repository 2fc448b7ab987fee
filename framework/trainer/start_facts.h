// RankFacts: what a rank is and computes on, as each says before anything else is done together; and
// what does not fit together among all of them, in words. Nothing here communicates
// (start_checks.h does).
#pragma once

#include <map>
#include <string>
#include <vector>

#include "config/resume_difference.h"

namespace triga {

struct RankFacts {
  std::string host;
  /// What must be equal on all ranks: "Triga" -> "0.1.0 (commit 1a2b3c)", "plugin rnn" -> its version
  /// and content, kExperimentFact -> its hash.
  std::map<std::string, std::string> same;
  std::string device;     // in words that ranks have in common: "CPU", "a GPU"
  std::string gpu;        // that no other GPU anywhere has; "": it computes on none
  std::string nccl_host;  // NCCL_HOSTID: with different ones NCCL takes one host for several
};

/// The name of the experiment's hash in `same`.
inline constexpr const char* kExperimentFact = "the experiment";

std::string to_text(const RankFacts& facts);
/// Of any version of Triga: what is missing there or of another form stays empty, so that
/// find_misfit() can say that the versions differ. Never throws for it.
RankFacts rank_facts_from_text(const std::string& text);

/// "ranks 0-2, 5 on a, b".
std::string ranks_in_words(const std::vector<RankFacts>& ranks, const std::vector<int>& chosen);

/// By rank. "": nothing is wrong. Otherwise what some ranks have and others have not (both values,
/// and who has which; Triga's version before all else); ranks on a CPU beside others on GPUs; one
/// GPU that two ranks have, which NCCL refuses.
std::string find_misfit(const std::vector<RankFacts>& ranks);

/// A sentence for each GPU that several ranks share in spite of that (NCCL_HOSTID).
std::vector<std::string> shared_gpus(const std::vector<RankFacts>& ranks);

/// The first rank whose experiment is not that of rank 0; 0: all have the same.
int first_with_another_experiment(const std::vector<RankFacts>& ranks);
/// In words: `rank` has another experiment than rank 0, in these keys.
std::string another_experiment(const std::vector<RankFacts>& ranks, int rank,
                               const std::vector<ConfigDifference>& differences);

}  // namespace triga
