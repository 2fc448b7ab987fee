// RunFolder: what `triga launch` sees of a run in its folder: whether a start has begun, lives and
// has ended, and how. The folder may be away for a while (patient_look.h).
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>

#include "base/files.h"
#include "launchers/patient_look.h"
#include "metrics/run_status.h"
#include "trainer/run_directory.h"

namespace triga {

class RunFolder {
 public:
  /// `is_cancelled`: whether a folder that is away is waited for no longer.
  RunFolder(FileSystem& files, RunDirectory directory, std::function<bool()> is_cancelled,
            PatientLook look = PatientLook());

  /// A start follows: what is there now is not of it.
  void expect_start();

  // While it runs: what cannot be read now says nothing.

  bool tells_an_end();
  /// Whether a process that lives holds the folder, also where it is away, but not yet given up.
  bool is_held();

  // After its end: asked until it can be read, or is given up.

  /// Whether the start wrote a status. Nothing: the folder cannot be read.
  std::optional<bool> has_begun();
  /// Nothing: there is none, or it cannot be read.
  std::optional<RunStatus> status();
  /// The run's own report of a failure; "": there is none, or it cannot be read.
  std::string failure();

  /// Why the folder could not be read, the last time.
  const std::string& problem() const { return look_.problem(); }
  const RunDirectory& directory() const { return directory_; }

 private:
  using Time = std::filesystem::file_time_type;
  /// When the status was written; nothing: there is none. Throws: FileError.
  std::optional<Time> written_at();
  bool has_new_status();

  FileSystem& files_;
  const RunDirectory directory_;
  const std::function<bool()> is_cancelled_;
  PatientLook look_;
  std::optional<Time> written_before_;  // before the start
  std::optional<Time> last_seen_;       // at any time
};

}  // namespace triga
