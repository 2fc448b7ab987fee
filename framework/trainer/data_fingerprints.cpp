#include "trainer/data_fingerprints.h"

#include <fmt/format.h>

#include <vector>

#include "triga/error.h"
#include "triga/log.h"

namespace triga {

Fingerprints data_fingerprints(Communicator& world, const Assembly& assembly) {
  Fingerprints mine = {{"train", assembly.train->fingerprint()}};
  if (assembly.validation) mine["validation"] = assembly.validation->fingerprint();
  std::string text;
  for (const auto& [split, fingerprint] : mine) text += split + " " + fingerprint + "\n";
  const std::vector<std::string> all = world.all_gather_text(text, "fingerprints of the data");
  for (size_t rank = 1; rank < all.size(); ++rank)
    if (all[rank] != all[0])
      throw DataError(
          fmt::format("rank {} on {} reads other data than rank 0 on {}: all hosts must "
                      "see the same files",
                      rank, world.host(static_cast<int>(rank)), world.host(0)));
  return mine;
}

void check_data(const Fingerprints& now, const TrainingState& state, bool may_warn) {
  const auto differs = [&](const std::string& split) {
    const auto before = state.data.find(split), after = now.find(split);
    return before != state.data.end() && after != now.end() && before->second != after->second;
  };
  if (differs("train"))
    throw DataError(fmt::format(
        "data.train is not what this run was trained on up to step {} (fingerprint {} before, {} "
        "now): the order of samples and the epochs would be those of other data.\n  Put the old "
        "files back; or train on the new ones from these weights, as a new run: --run-dir "
        "ANOTHER_DIR --set model.init.from=CHECKPOINT; or start anew: --fresh.",
        state.step, state.data.at("train"), now.at("train")));
  if (differs("validation") && may_warn)
    log_warning("train", "data.validation has changed since step ", state.step,
                ": its losses cannot be compared with those before");
}

}  // namespace triga
