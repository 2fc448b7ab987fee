#include "metrics/run_status.h"

#include <iterator>
#include <nlohmann/json.hpp>

namespace triga {
namespace {

constexpr const char* kStates[] = {"running", "finished", "stopped",
                                   "failed"};  // in the order of RunStatus::State

}  // namespace

void write_run_status(FileSystem& files, const Path& path, const RunStatus& status,
                      bool is_durable) {
  nlohmann::ordered_json object = {{"state", kStates[static_cast<size_t>(status.state)]},
                                   {"cause", status.cause},
                                   {"step", status.step},
                                   {"exit_status", nullptr}};
  if (status.exit_status) object["exit_status"] = *status.exit_status;
  if (!status.host.empty()) object["host"] = status.host;
  if (!status.signal.empty()) object["signal"] = status.signal;
  // A cause may name a file whose name is not UTF-8: shown as such rather than lost.
  const std::string text =
      object.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
  if (is_durable)
    atomic_write(files, path, text);
  else
    replace_file(files, path, text);
}

std::optional<RunStatus> read_run_status(FileSystem& files, const Path& path) {
  if (!exists(files, path)) return std::nullopt;
  const std::string text = read_text(files, path);
  // Renamed into place without fsync: a loss of power may leave it empty, or cut.
  if (!nlohmann::json::accept(text)) return std::nullopt;
  try {
    const auto object = nlohmann::json::parse(text);
    const auto* state =
        std::find(std::begin(kStates), std::end(kStates), object.at("state").get<std::string>());
    if (state == std::end(kStates))
      throw Error(c10::str(path.string(), ": unknown state ", object.at("state").dump()));
    RunStatus status{.state = static_cast<RunStatus::State>(state - std::begin(kStates)),
                     .cause = object.at("cause"),
                     .step = object.at("step"),
                     .exit_status = std::nullopt,
                     .host = object.value("host", ""),
                     .signal = object.value("signal", "")};
    if (!object.at("exit_status").is_null())
      status.exit_status = object.at("exit_status").get<int>();
    return status;
  } catch (const nlohmann::json::exception& error) {
    throw Error(c10::str(path.string(), ": not a status of a run: ", error.what()));
  }
}

}  // namespace triga
