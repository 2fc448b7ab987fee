// The hosts that a user names for `triga launch`: --hosts a:2,b:2, or a file as mpirun's.
#pragma once

#include <string>
#include <vector>

#include "base/files.h"

namespace triga {

struct Host {
  std::string name;  // or an IPv4 address
  int slots = 0;     // ranks that it is to have; 0: not said, as many as the others

  bool operator==(const Host&) const = default;
};

std::vector<std::string> names_of(const std::vector<Host>& hosts);

/// Of the words "a", "a:2". Throws: ConfigError for what is no host, for a host that is named twice,
/// and where some say a number of ranks and others do not.
std::vector<Host> parse_hosts(const std::vector<std::string>& words);

/// Of a file with a host a line, "a", "a slots=2" or "a:2"; '#' begins a comment. Throws: as
/// parse_hosts, with the line; ConfigError where the file cannot be read or names no host.
std::vector<Host> read_host_file(FileSystem& files, const Path& path);

}  // namespace triga
