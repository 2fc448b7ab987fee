#include "trainer/from_first_rank.h"

#include <fmt/format.h>

#include <exception>

#include "base/files.h"
#include "base/foreign_errors.h"

namespace triga {
namespace {

/// Runs `work`; the first character of what it gives tells an outcome from an error.
std::string outcome_of(const std::function<std::string()>& work, std::exception_ptr& problem) {
  try {
    try {
      return "=" + work();
    } catch (const FileError& error) {
      throw CheckpointError(fmt::format("the run's folder cannot be used: {}", error.what()));
    } catch (...) {
      rethrow_as_error();  // whatever it is, the others wait for it
      throw;
    }
  } catch (const Error& error) {
    problem = std::current_exception();
    return fmt::format("!{}\n{}", static_cast<int>(error.status()), error.what());
  }
}

}  // namespace

std::string from_first_rank(Communicator& world, std::string_view what,
                            const std::function<std::string()>& work) {
  std::exception_ptr problem;
  std::string text;
  if (world.rank() == 0) text = outcome_of(work, problem);
  text = world.broadcast_text(text, 0, what);
  if (problem) std::rethrow_exception(problem);
  if (text.starts_with('=')) return text.substr(1);
  const size_t end = text.find('\n');
  throw SaidByFirstRank(text.substr(end + 1),
                        static_cast<ExitStatus>(std::stoi(text.substr(1, end - 1))));
}

}  // namespace triga
