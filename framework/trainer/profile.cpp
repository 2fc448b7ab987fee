#include "trainer/profile.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <nlohmann/json.hpp>
#include <sstream>
#include <tuple>

namespace triga {
namespace {

struct Share {
  TraceKind kind;
  const char* name;
  double TimeShares::*seconds;
};
constexpr Share kShares[] = {
    {TraceKind::kStep, "step", &TimeShares::step},
    {TraceKind::kData, "data wait", &TimeShares::data_wait},
    {TraceKind::kForward, "forward", &TimeShares::forward},
    {TraceKind::kBackward, "backward", &TimeShares::backward},
    {TraceKind::kOptimizer, "optimizer", &TimeShares::optimizer},
    {TraceKind::kWait, "communication exposed", &TimeShares::exposed},
    {TraceKind::kMetrics, "metrics", &TimeShares::metrics},
    {TraceKind::kCommunication, "communication", &TimeShares::communication},
};

/// What spans of a kind count for; null: for nothing.
const Share* share_of(TraceKind kind) {
  const auto found = std::find_if(std::begin(kShares), std::end(kShares),
                                  [&](const Share& share) { return share.kind == kind; });
  return found == std::end(kShares) ? nullptr : found;
}

std::string line_of(const char* name, double seconds, double step) {
  return fmt::format("  {:<22}{:>8.3f} ms {:>6.1f} %\n", name, seconds * 1e3,
                     step > 0 ? 100 * seconds / step : 0);
}

std::string summary(const std::vector<TimeShares>& ranks, const Path& file) {
  TimeShares mean;
  for (const Share& share : kShares) {
    for (const TimeShares& rank : ranks) mean.*share.seconds += rank.*share.seconds;
    mean.*share.seconds /= static_cast<double>(ranks.size());
  }
  std::string text = fmt::format("time of a step, mean of {} rank{}: {:.3f} ms\n", ranks.size(),
                                 ranks.size() == 1 ? "" : "s", mean.step * 1e3);
  for (const Share& share : kShares)
    if (share.kind != TraceKind::kStep && share.kind != TraceKind::kCommunication)
      text += line_of(share.name, mean.*share.seconds, mean.step);
  text += line_of("other", mean.other(), mean.step);
  text += fmt::format("  {:<22}{:>8.3f} ms in the communication thread\n", "communication",
                      mean.communication * 1e3);
  return text +
         fmt::format("trace: {} (open it in ui.perfetto.dev or chrome://tracing)", file.string());
}

}  // namespace

TimeShares time_shares(const std::vector<TraceEvent>& events) {
  std::vector<const TraceEvent*> ordered;
  for (const TraceEvent& event : events) ordered.push_back(&event);
  std::sort(ordered.begin(), ordered.end(), [](const TraceEvent* a, const TraceEvent* b) {
    return std::tuple(a->thread, a->begin_ns, -a->end_ns) <
           std::tuple(b->thread, b->begin_ns, -b->end_ns);
  });
  TimeShares shares;
  std::vector<const TraceEvent*> open, steps;
  for (const TraceEvent& event : events)
    if (event.kind == TraceKind::kStep) steps.push_back(&event);
  const auto is_in_a_step = [&](const TraceEvent* event) {
    return std::any_of(steps.begin(), steps.end(), [&](const TraceEvent* step) {
      return step->begin_ns <= event->begin_ns && event->begin_ns < step->end_ns;
    });
  };
  for (const TraceEvent* event : ordered) {
    if (!is_in_a_step(event)) continue;
    const double seconds = static_cast<double>(event->end_ns - event->begin_ns) * 1e-9;
    while (!open.empty() &&
           (open.back()->thread != event->thread || open.back()->end_ns <= event->begin_ns))
      open.pop_back();
    if (const Share* share = share_of(event->kind)) shares.*share->seconds += seconds;
    if (!open.empty() && open.back()->kind != TraceKind::kStep)
      if (const Share* outer = share_of(open.back()->kind)) shares.*outer->seconds -= seconds;
    open.push_back(event);
  }
  for (const Share& share : kShares)
    shares.*share.seconds /= static_cast<double>(std::max<size_t>(1, steps.size()));
  return shares;
}

std::string to_trace_json(const std::vector<TraceEvent>& events, int rank,
                          const std::string& host) {
  using Json = nlohmann::ordered_json;
  std::string text = Json{{"name", "process_name"},
                          {"ph", "M"},
                          {"pid", rank},
                          {"args", {{"name", fmt::format("rank {} on {}", rank, host)}}}}
                         .dump();
  for (const TraceEvent& event : events)
    text += ",\n" + Json{{"name", event.name},
                         {"cat", word(event.kind)},
                         {"ph", "X"},
                         {"ts", static_cast<double>(event.begin_ns) * 1e-3},
                         {"dur", static_cast<double>(event.end_ns - event.begin_ns) * 1e-3},
                         {"pid", rank},
                         {"tid", event.thread}}
                        .dump();
  return text;
}

std::string write_profile(FileSystem& files, const Path& file, Communicator& world,
                          const std::vector<TraceEvent>& events) {
  const TimeShares mine = time_shares(events);
  const auto texts =
      world.all_gather_text(to_trace_json(events, world.rank(), world.host(world.rank())), "trace");
  std::string line;
  for (const Share& share : kShares) line += fmt::format("{} ", mine.*share.seconds);
  std::vector<TimeShares> ranks;
  for (const std::string& text : world.all_gather_text(line, "time shares")) {
    std::istringstream numbers(text);
    TimeShares& rank = ranks.emplace_back();
    for (const Share& share : kShares) numbers >> rank.*share.seconds;
  }
  if (world.rank() != 0) return "";
  std::string all = "{\"displayTimeUnit\": \"ms\", \"traceEvents\": [\n";
  for (size_t rank = 0; rank < texts.size(); ++rank) all += (rank == 0 ? "" : ",\n") + texts[rank];
  atomic_write(files, file, all + "\n]}\n");
  return summary(ranks, file);
}

}  // namespace triga
