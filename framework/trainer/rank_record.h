// RankRecord: what a rank says of itself in a small file of the run directory, about once a second,
// so that ranks of other hosts, `triga status` and the report of a failure know where it is and
// that it lives, and so that ranks of other hosts compare what it does with what they do. The file
// is overwritten in place: nothing of it has to survive a crash.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/files.h"
#include "comm/begun_operation.h"
#include "trainer/run_directory.h"

namespace triga {

/// What a rank's own time went to since the start of the run: waiting for other ranks is not in it.
struct OwnWork {
  int64_t num_steps = 0, num_microbatches = 0;
  double data_seconds = 0;     // waiting for its loader
  double compute_seconds = 0;  // forward and backward
  double update_seconds = 0;
  double save_seconds = 0;
};

struct RankRecord {
  int rank = 0, world_size = 1;
  std::string host;
  int64_t pid = 0;
  int stage_rank = 0;  // of the pipeline: ranks with the same do the same work
  int64_t step = 0;
  int stage = -1, microbatch = -1;  // -1: none
  std::string what;                 // in words
  bool is_waiting = false;          // for other ranks
  double still_seconds = 0;         // since it last moved
  double written_at = 0;            // seconds since 1970, on its host
  double every_seconds = 1;         // how often it is written
  int64_t num_failed_saves = 0;     // SaveRecord::num_failed; 0 of other ranks than the first
  OwnWork work;
  std::vector<BegunOperation> begun;  // for ranks of other hosts to compare
};

/// Throws: Error (the disk).
void write_rank_record(const RunDirectory& directory, const RankRecord& record);
/// Nothing: `rank` has none that can be read.
std::optional<RankRecord> read_rank_record(FileSystem& files, const RunDirectory& directory,
                                           int rank);
/// Of all ranks that have a file that can be read, by rank.
std::vector<RankRecord> read_rank_records(FileSystem& files, const RunDirectory& directory);

/// Seconds since the last sign of life, beyond what is usual; 0: it lives.
double silent_seconds(const RankRecord& record, double now);
/// How long the rank has been at what it does, if nothing moved since it wrote.
double still_seconds(const RankRecord& record, double now);
double seconds_since_1970();

/// Whether others wait for a rank, by rank: it stands still at an earlier step than another one, or
/// does something while another one has waited for long.
std::vector<bool> who_is_behind(const std::vector<RankRecord>& records);

/// "rank 3 on host b: step 17, forward of microbatch 2, for 12 s".
std::string whereabouts(const RankRecord& record, double now);

}  // namespace triga
