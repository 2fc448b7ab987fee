// What only rank 0 does when a run begins, and whose outcome, a text or an error, is that of all
// ranks: each ends with the same status, and only rank 0 talks.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "comm/communicator.h"
#include "triga/error.h"

namespace triga {

/// An error of rank 0, on the other ranks: they end with its status and need not say it again.
class SaidByFirstRank : public Error {
  using Error::Error;
};

/// Collective. What `work` returned on rank 0 of `world`. Throws: what it threw (a FileError as a
/// CheckpointError: the run's folder cannot be used), on the others as SaidByFirstRank.
std::string from_first_rank(Communicator& world, std::string_view what,
                            const std::function<std::string()>& work);

}  // namespace triga
