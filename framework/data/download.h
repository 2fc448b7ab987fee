// Downloads: a file with known size and SHA-256, from its public address or from a mirror folder.
// It appears at its place only whole and checked; until then it grows as NAME.part, and a later
// call goes on with that.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "base/files.h"

namespace triga {

struct RemoteFile {
  std::string url;     // http or https
  std::string sha256;  // 64 lowercase hexadecimal digits
  int64_t size = 0;    // bytes
};

struct DownloadOptions {
  /// "": from the network. Else a folder that holds <host>/<path> of addresses, as `wget -x` lays
  /// files out; then the network is not used at all.
  std::string mirror;
  std::function<void(int64_t bytes_done)> progress = [](int64_t) {
  };                         // of this file, part of earlier calls included
  int max_attempts = 4;      // in a row in which nothing arrived
  double retry_seconds = 1;  // before the second attempt; doubles each time
  double stall_seconds = 30;
};

/// Makes `target` the remote file. A file that is there already is checked, and never replaced.
/// Throws: DataError that says what happened (offline, not found, other content, disk full, ...)
/// and what to do.
void download(const RemoteFile& file, const Path& target, const DownloadOptions& options);

}  // namespace triga
