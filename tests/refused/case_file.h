// CaseFile: a wrong experiment, with what is expected of it in its last lines:
//
//   #! set KEY=VALUE       an argument --set
//   #! ranks N             it is to run on so many ranks
//   #! expect LINE: TEXT   a problem that names this line and goes on with this text; LINE `-`:
//   none
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace triga {

struct CaseFile {
  std::filesystem::path path;
  std::vector<std::string> overrides;
  std::optional<int> num_ranks;
  std::vector<std::string>
      expected;  // beginnings of messages: "cases/a.yaml:4: train.max_step: ..."
};

/// All in `folder`, by name. Throws: std::runtime_error for a directive that is none.
std::vector<CaseFile> read_cases(const std::filesystem::path& folder);

}  // namespace triga
