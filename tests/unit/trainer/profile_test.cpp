// Where the time went: nested spans count once, and the file is what the viewers read.
#include "trainer/profile.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <set>
#include <thread>

#include "tests/support/local_ranks.h"
#include "tests/support/memory_files.h"

namespace triga {
namespace {

constexpr int64_t kMs = 1'000'000;

/// Two steps of 10 ms: 6 of backward, of which 2 wait; 1 outside of any span.
std::vector<TraceEvent> two_steps() {
  std::vector<TraceEvent> events;
  for (int64_t start : {0, 20}) {
    events.push_back({TraceKind::kStep, "step", start * kMs, (start + 10) * kMs, 0});
    events.push_back({TraceKind::kForward, "h.0", start * kMs, (start + 3) * kMs, 0});
    events.push_back({TraceKind::kWait, "bucket", (start + 4) * kMs, (start + 6) * kMs, 0});
    events.push_back({TraceKind::kBackward, "backward", (start + 3) * kMs, (start + 9) * kMs, 0});
    events.push_back({TraceKind::kCommunication, "sum", (start + 1) * kMs, (start + 8) * kMs, 1});
  }
  return events;
}

TEST(TimeShares, CountANestedSpanForItselfAlone) {
  const TimeShares shares = time_shares(two_steps());
  EXPECT_DOUBLE_EQ(shares.step, 0.010);
  EXPECT_DOUBLE_EQ(shares.forward, 0.003);
  EXPECT_DOUBLE_EQ(shares.backward, 0.004);
  EXPECT_DOUBLE_EQ(shares.exposed, 0.002);
  EXPECT_DOUBLE_EQ(shares.communication, 0.007) << "of another thread: not part of the step";
  EXPECT_NEAR(shares.other(), 0.001, 1e-12);
}

TEST(TimeShares, LeaveOutWhatLiesBetweenSteps) {
  std::vector<TraceEvent> events = two_steps();
  const TimeShares expected = time_shares(events);
  events.push_back({TraceKind::kEvaluate, "evaluation", 11 * kMs, 19 * kMs, 0});
  events.push_back({TraceKind::kForward, "h.0", 12 * kMs, 15 * kMs, 0});
  events.push_back({TraceKind::kWait, "sum of losses", 15 * kMs, 18 * kMs, 0});
  events.push_back({TraceKind::kCheckpoint, "checkpoint", 31 * kMs, 40 * kMs, 0});
  const TimeShares shares = time_shares(events);
  EXPECT_EQ(shares.step, expected.step);
  EXPECT_EQ(shares.forward, expected.forward);
  EXPECT_EQ(shares.exposed, expected.exposed);
  EXPECT_EQ(shares.other(), expected.other());
}

TEST(Trace, KeepsNothingUnlessItRecords) {
  Trace trace;
  { const TraceSpan span(&trace, TraceKind::kForward, "a"); }
  { const TraceSpan span(nullptr, TraceKind::kForward, "b"); }
  EXPECT_TRUE(trace.take().empty());
  trace.record(true);
  { const TraceSpan span(&trace, TraceKind::kForward, "c"); }
  std::thread([&] { const TraceSpan span(&trace, TraceKind::kForward, "d"); }).join();
  const auto events = trace.take();
  ASSERT_EQ(events.size(), 2u);
  EXPECT_EQ(events[0].name, "c");
  EXPECT_LE(events[0].begin_ns, events[0].end_ns);
  EXPECT_NE(events[0].thread, events[1].thread);
}

TEST(Profile, OfAllRanksIsOneFileOfTheTraceEventFormat) {
  test::MemoryFiles files;
  files.make_directory("/run");
  std::string summary;
  testing::run_ranks(3, [&](Communicator& world) {
    const std::string text = write_profile(files, "/run/trace.json", world, two_steps());
    if (world.rank() == 0)
      summary = text;
    else
      EXPECT_EQ(text, "");
  });
  const auto json = nlohmann::json::parse(files.content("/run/trace.json"));
  int num_spans = 0;
  std::set<int> ranks;
  for (const auto& event : json["traceEvents"]) {
    ranks.insert(event["pid"].get<int>());
    if (event["ph"] != "X") continue;
    ++num_spans;
    EXPECT_GT(event["dur"].get<double>(), 0);
  }
  EXPECT_EQ(num_spans, 3 * 10);
  EXPECT_EQ(ranks, (std::set<int>{0, 1, 2}));
  EXPECT_NE(summary.find("mean of 3 ranks: 10.000 ms"), std::string::npos) << summary;
  EXPECT_NE(summary.find("communication exposed    2.000 ms   20.0 %"), std::string::npos)
      << summary;
}

}  // namespace
}  // namespace triga
