#include "launchers/run_folder.h"

#include <cerrno>
#include <system_error>
#include <utility>

#include "trainer/lease.h"

namespace triga {

RunFolder::RunFolder(FileSystem& files, RunDirectory directory, std::function<bool()> is_cancelled,
                     PatientLook look)
    : files_(files),
      directory_(std::move(directory)),
      is_cancelled_(std::move(is_cancelled)),
      look_(std::move(look)) {}

void RunFolder::expect_start() {
  look_.begin();
  // What cannot be read now is at least not older than what was seen.
  written_before_ =
      look_.until_read([this] { return written_at(); }, is_cancelled_).value_or(last_seen_);
}

bool RunFolder::tells_an_end() {
  const auto tells_it = look_.once([this] {
    if (!has_new_status()) return false;
    const auto status = read_run_status(files_, directory_.status());
    return status && status->exit_status;
  });
  return tells_it.value_or(false);
}

bool RunFolder::is_held() {
  const auto is_held = look_.once([this] {
    const auto holder = lease_holder(files_, directory_.lease());
    return holder && holder->is_alive;
  });
  return is_held.value_or(!look_.is_given_up());
}

std::optional<bool> RunFolder::has_begun() {
  return look_.until_read([this] { return has_new_status(); }, is_cancelled_);
}

std::optional<RunStatus> RunFolder::status() {
  return look_
      .until_read([this] { return read_run_status(files_, directory_.status()); }, is_cancelled_)
      .value_or(std::nullopt);
}

std::string RunFolder::failure() {
  const auto read = [this] {
    return exists(files_, directory_.failure()) ? read_text(files_, directory_.failure()) : "";
  };
  return look_.until_read(read, is_cancelled_).value_or("");
}

std::optional<RunFolder::Time> RunFolder::written_at() {
  std::error_code error;
  const Time time = std::filesystem::last_write_time(directory_.status(), error);
  if (!error) return last_seen_ = time;
  if (error.value() != ENOENT && error.value() != ENOTDIR)
    throw FileError("look at", directory_.status(), error.value());
  return std::nullopt;
}

bool RunFolder::has_new_status() {
  const auto now = written_at();
  return now && now != written_before_;
}

}  // namespace triga
