#include "trainer/rank_threads.h"

#include <ATen/Parallel.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <charconv>

#include "checkpoint/manifest.h"
#include "trainer/from_first_rank.h"
#include "triga/log.h"

namespace triga {
namespace {

constexpr char kName[] = "threads";

/// What the checkpoint's manifest says; empty: nothing, as one of an older version.
std::string threads_of_checkpoint(Communicator& world, FileSystem& files, const Path& checkpoint) {
  return from_first_rank(world, "threads of the checkpoint", [&] {
    const Manifest manifest = read_manifest(files, checkpoint);
    const auto found = manifest.environment.find(kName);
    return found == manifest.environment.end() ? std::string() : found->second;
  });
}

std::string gather(Communicator& world, int num_threads) {
  return fmt::format(
      "{}",
      fmt::join(world.all_gather_text(std::to_string(num_threads), "threads of the ranks"), ","));
}

}  // namespace

std::optional<std::vector<int>> parse_threads(const std::string& text, int num_ranks) {
  std::vector<int> numbers;
  const char* const end = text.data() + text.size();
  for (const char* at = text.data(); at < end;) {
    int number = 0;
    const auto [behind, error] = std::from_chars(at, end, number);
    if (error != std::errc() || number < 1 || (behind != end && *behind != ',')) return {};
    numbers.push_back(number);
    at = behind == end ? end : behind + 1;
  }
  if (static_cast<int>(numbers.size()) != num_ranks) return {};
  return numbers;
}

void choose_threads(Communicator& world, FileSystem& files, std::optional<int64_t> wanted,
                    const std::optional<Path>& checkpoint, Environment& environment) {
  if (wanted) at::set_num_threads(static_cast<int>(*wanted));
  if (!world.device().is_cpu()) return;
  const std::string share = gather(world, at::get_num_threads());
  environment[kName] = share;
  if (wanted || !checkpoint) return;
  const std::string before = threads_of_checkpoint(world, files, *checkpoint);
  const auto numbers = parse_threads(before, world.size());
  if (!numbers || before == share) return;
  at::set_num_threads((*numbers)[static_cast<size_t>(world.rank())]);
  environment[kName] = before;
  if (world.rank() != 0) return;
  log_warning("train", "the ranks keep the threads that they had (", before,
              "), so that their number changes no bits; their shares of the cores here: ", share,
              ". Another number, and other last bits: parallel.threads");
}

}  // namespace triga
