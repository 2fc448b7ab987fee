#include "trainer/rank_record.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <nlohmann/json.hpp>
#include <optional>
#include <thread>

#include "base/fixed_text.h"
#include "base/hash.h"

namespace triga {
namespace {

using Json = nlohmann::ordered_json;

constexpr size_t kBytes = 1024;          // of a file at least: one line, with spaces at its end
constexpr size_t kWhatBytes = 300;       // of the words in it
constexpr double kPatienceSeconds = 10;  // with a rank that is silent
constexpr double kWaitSeconds = 2;       // shorter waits are those of every step

std::string to_text(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

/// Each with a hash of it: a line may be read while it is replaced.
Json to_json(const std::vector<BegunOperation>& begun) {
  Json all = Json::array();
  for (const BegunOperation& one : begun) {
    Json json = {one.group, one.from, one.to, one.number, one.before, one.digest, one.text};
    json.push_back(hash(to_text(json)));
    all.push_back(std::move(json));
  }
  return all;
}

/// Without those that are not as they were written.
std::vector<BegunOperation> begun_from(Json all) {
  std::vector<BegunOperation> begun;
  for (Json& json : all) {
    const auto written = json.at(7).get<uint64_t>();
    json.erase(7);
    if (hash(to_text(json)) == written)
      begun.push_back({json[0], json[1], json[2], json[3], json[4], json[5], json[6]});
  }
  return begun;
}

std::string to_line(const RankRecord& record) {
  const OwnWork& work = record.work;
  const Json json = {{"rank", record.rank},
                     {"world_size", record.world_size},
                     {"host", record.host},
                     {"pid", record.pid},
                     {"stage_rank", record.stage_rank},
                     {"step", record.step},
                     {"stage", record.stage},
                     {"microbatch", record.microbatch},
                     {"what", beginning_of(record.what, kWhatBytes)},
                     {"is_waiting", record.is_waiting},
                     {"still_seconds", record.still_seconds},
                     {"written_at", record.written_at},
                     {"every_seconds", record.every_seconds},
                     {"num_failed_saves", record.num_failed_saves},
                     {"work",
                      {work.num_steps, work.num_microbatches, work.data_seconds,
                       work.compute_seconds, work.update_seconds, work.save_seconds}},
                     {"begun", to_json(record.begun)}};
  std::string line = to_text(json);
  line.resize(std::max(line.size() + 1, kBytes), ' ');
  line.back() = '\n';
  return line;
}

/// Nothing: it is being written. `text`: a line, perhaps with the end of a longer one after it that
/// is about to go.
std::optional<RankRecord> from_text(const std::string& text) {
  try {
    const Json json = Json::parse(text.substr(0, text.find('\n')));
    RankRecord record;
    record.rank = json.at("rank");
    record.world_size = json.at("world_size");
    record.host = json.at("host");
    record.pid = json.at("pid");
    record.stage_rank = json.at("stage_rank");
    record.step = json.at("step");
    record.stage = json.at("stage");
    record.microbatch = json.at("microbatch");
    record.what = json.at("what");
    record.is_waiting = json.at("is_waiting");
    record.still_seconds = json.at("still_seconds");
    record.written_at = json.at("written_at");
    record.every_seconds = json.at("every_seconds");
    record.num_failed_saves = json.value("num_failed_saves", int64_t{0});
    const Json& work = json.at("work");
    record.work = {work.at(0), work.at(1), work.at(2), work.at(3), work.at(4), work.at(5)};
    record.begun = begun_from(json.value("begun", Json::array()));
    return record;
  } catch (const Json::exception&) {
    return std::nullopt;
  }
}

std::optional<RankRecord> read_one(FileSystem& files, const Path& file) {
  for (int attempt = 0; attempt < 5; ++attempt) {
    try {
      if (auto record = from_text(read_text(files, file))) return record;
    } catch (const FileError&) {  // it goes when its rank ends
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  return std::nullopt;
}

}  // namespace

void write_rank_record(const RunDirectory& directory, const RankRecord& record) {
  const Path file = directory.rank_record(record.rank);
  const std::string line = to_line(record);
  // Opened and closed each time: closing is what makes a network file system send it.
  const int descriptor = ::open(file.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
  if (descriptor < 0) throw FileError("write", file, errno);
  const auto size = static_cast<ssize_t>(line.size());
  struct stat before {};
  const bool is_written = ::pwrite(descriptor, line.data(), line.size(), 0) == size &&
                          ::fstat(descriptor, &before) == 0 &&
                          (before.st_size == size || ::ftruncate(descriptor, size) == 0);
  const int code = is_written ? 0 : errno;
  if (::close(descriptor) != 0 || !is_written)
    throw FileError("write", file, code != 0 ? code : errno);
}

std::optional<RankRecord> read_rank_record(FileSystem& files, const RunDirectory& directory,
                                           int rank) {
  return read_one(files, directory.rank_record(rank));
}

std::vector<RankRecord> read_rank_records(FileSystem& files, const RunDirectory& directory) {
  std::vector<RankRecord> records;
  if (!exists(files, directory.rank_records())) return records;
  for (const std::string& name : files.list(directory.rank_records()))
    if (auto record = read_one(files, directory.rank_records() / name))
      records.push_back(std::move(*record));
  std::sort(records.begin(), records.end(),
            [](const RankRecord& a, const RankRecord& b) { return a.rank < b.rank; });
  return records;
}

double seconds_since_1970() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

double silent_seconds(const RankRecord& record, double now) {
  const double age = now - record.written_at;
  return age > std::max(kPatienceSeconds, 5 * record.every_seconds) ? age : 0;
}

double still_seconds(const RankRecord& record, double now) {
  return record.still_seconds + std::max(0.0, now - record.written_at);
}

std::vector<bool> who_is_behind(const std::vector<RankRecord>& records) {
  int64_t latest_step = 0;
  double newest = 0;
  for (const RankRecord& one : records) {
    latest_step = std::max(latest_step, one.step);
    newest = std::max(newest, one.written_at);
  }
  // Records are not of one moment, so a rank that moves may be seen at an earlier step than others.
  const auto is_silent = [&](const RankRecord& one) { return silent_seconds(one, newest) > 0; };
  const auto is_still = [&](const RankRecord& one) {
    return is_silent(one) || one.still_seconds > kWaitSeconds;
  };
  const bool somebody_waits = std::any_of(
      records.begin(), records.end(),
      [&](const RankRecord& one) { return one.is_waiting && is_still(one) && !is_silent(one); });
  std::vector<bool> is_behind;
  is_behind.reserve(records.size());
  for (const RankRecord& one : records)
    is_behind.push_back((one.step < latest_step && is_still(one)) ||
                        (somebody_waits && (!one.is_waiting || is_silent(one))));
  return is_behind;
}

std::string whereabouts(const RankRecord& record, double now) {
  const double silent = silent_seconds(record, now);
  std::string text = fmt::format("rank {} on host {}{}: step {}{}{}", record.rank, record.host,
                                 silent > 0 ? " (silent)" : "", record.step,
                                 record.what.empty() ? "" : ", ", record.what);
  const double still = still_seconds(record, now);
  if (still >= 1) text += fmt::format(", for {:.0f} s", still);
  return text;
}

}  // namespace triga
