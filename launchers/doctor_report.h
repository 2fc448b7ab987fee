// What `triga doctor` found: a line each, in words, with what to do next.
#pragma once

#include <ostream>
#include <string>
#include <vector>

#include "triga/error.h"

namespace triga {

struct Finding {
  enum class Level { kOk, kWarning, kProblem };

  std::string topic;  // "MPI", "run folder"
  std::string text;   // what is there, or what is wrong
  Level level = Level::kOk;
  std::string cure;                           // what to do next; "": nothing
  ExitStatus status = ExitStatus::kInternal;  // of a run that meets this problem
};

Finding ok(std::string topic, std::string text);
Finding warning(std::string topic, std::string text, std::string cure);
Finding problem(std::string topic, std::string text, std::string cure, ExitStatus status);

/// Topic, level and text in columns of so many characters, and the cure below them.
void print_table(const std::vector<Finding>& findings, int columns, std::ostream& out);
/// {"findings": [{"topic", "level", "text", "cure"}, ...], "exit_status"}.
void print_json(const std::vector<Finding>& findings, std::ostream& out);

/// That of the first problem; kDone: there is none.
ExitStatus exit_status(const std::vector<Finding>& findings);

}  // namespace triga
