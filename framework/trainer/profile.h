// Profile: `triga train --profile N`: records N steps of all ranks, writes them where Perfetto and
// Chrome (chrome://tracing) read them, and says in words where the time went.
#pragma once

#include <string>
#include <vector>

#include "base/files.h"
#include "base/trace.h"
#include "comm/communicator.h"

namespace triga {

/// Where the time of a rank's steps went, in seconds a step.
struct TimeShares {
  double step = 0;
  double data_wait = 0, forward = 0, backward = 0, optimizer = 0, metrics = 0;
  double exposed = 0;        // the computing thread waited for communication
  double communication = 0;  // in the communication thread, hidden or not
  double other() const {
    return step - data_wait - forward - backward - optimizer - metrics - exposed;
  }
};

/// A span inside another one of its thread counts for itself alone, and only where a step is under
/// way: an evaluation or a checkpoint between two steps counts for nothing.
TimeShares time_shares(const std::vector<TraceEvent>& events);

/// The events of one rank as a comma-separated list of objects of the Trace Event Format.
std::string to_trace_json(const std::vector<TraceEvent>& events, int rank, const std::string& host);

/// Writes `file` on rank 0. Returns the summary there, "" elsewhere. Collective.
std::string write_profile(FileSystem& files, const Path& file, Communicator& world,
                          const std::vector<TraceEvent>& events);

}  // namespace triga
