// The last words of a run: the earliest cause, who and where, what is saved, and how to go on. In
// failure.txt, in status.json, and as the last lines printed.
#pragma once

#include <string>

#include "base/files.h"
#include "comm/progress.h"
#include "trainer/run_directory.h"
#include "triga/error.h"

namespace triga {

struct Failure {
  std::string cause;  // what() of the exception; of a lost peer it names the peer
  ExitStatus status = ExitStatus::kInternal;
  int64_t step = 0;
  std::string command;      // to go on
  std::string ranks;        // where they were, a line each; "": not known, or there was one
  std::string host = {};    // on which it happened; "": not known
  std::string signal = {};  // of a crash, "SIGSEGV"; "": it was none
};

/// A line a rank: of those that are seen from here, where they are; of those of other hosts, what
/// they last wrote of themselves.
std::string where_all_were(FileSystem& files, const RunDirectory& directory,
                           const Progress& progress);

/// Removes what an earlier start left. Rank 0 calls it when a run begins.
void clear_failure(FileSystem& files, const RunDirectory& directory);

/// What became of a report.
enum class Reported {
  kWritten,
  kGaveWay,  // to one that is there, of a rank that knew as much or more
  kNot       // the folder is gone, or its disk does not answer
};

/// Writes status.json and failure.txt, unless another rank did; a failure of this rank itself
/// replaces the report of one that only missed it, and one that saw it on its host that of a rank
/// elsewhere. Waits up to 4 s for a rank that is writing its own, and not for the disk: what is
/// written survives the process, but not always a loss of power. Never throws: who calls it is
/// failing.
Reported report_failure(FileSystem& files, const RunDirectory& directory,
                        const Failure& failure) noexcept;

/// Writes the report again with what was found out since (where the ranks were, stacks), unless
/// another one has taken its place. Requires: report_failure wrote it, with the same host and the
/// same first line of the cause.
void complete_report(FileSystem& files, const RunDirectory& directory,
                     const Failure& failure) noexcept;

}  // namespace triga
