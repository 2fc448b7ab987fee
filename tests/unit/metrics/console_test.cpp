#include "metrics/console.h"

#include <gmock/gmock.h>

#include "tests/support/captured_terminal.h"

namespace triga {
namespace {

using test::CapturedTerminal;
using ::testing::HasSubstr;
using ::testing::Not;

TEST(ConsoleSink, WritesPlainLinesWhereNothingCanBeRedrawn) {
  CapturedTerminal captured(/*is_interactive=*/false);
  double now = 100;
  ConsoleSink sink(captured.terminal(), {.total_steps = 2000, .clock = [&] { return now; }});
  now += 30;
  sink.step_done(99);
  sink.record(
      {.step = 100,
       .split = "",
       .values = {{"loss", 2.34567}, {"grad_norm", 1.0}, {"tokens_per_second", 1234567.8}}});
  EXPECT_EQ(captured.take(), "step  100/2000  loss 2.3457  1,234,568 tokens/s  9:30 left\n");
  sink.record({.step = 100, .split = "validation", .values = {{"loss", 2.5}, {"accuracy", 0.25}}});
  EXPECT_EQ(captured.take(), "[validation] step 100  loss 2.5000  accuracy 0.2500\n");
  sink.record({.step = 100, .split = "gradients", .values = {{"a", 3.14e-12}, {"b", 0}}});
  EXPECT_EQ(captured.take(), "[gradients] step 100  a 3.1e-12  b 0.0000\n");
}

TEST(ConsoleSink, DrawsABarThatFillsAndFitsTheLine) {
  CapturedTerminal captured(/*is_interactive=*/true);
  double now = 0;
  ConsoleSink sink(captured.terminal(), {.total_steps = 100, .clock = [&] { return now; }});
  now = 1;
  sink.record({.step = 25, .split = "", .values = {{"loss", 3.0}, {"samples_per_second", 5.25}}});
  const std::string line = captured.take();
  EXPECT_THAT(line, ::testing::StartsWith("\r\x1b[K 25/100 ━"));
  EXPECT_THAT(line, ::testing::EndsWith("─  loss 3.0000  5.25 samples/s  0:03 left"));
  int filled = 0, empty = 0;
  for (size_t at = 0; at < line.size(); ++at) {
    filled += line.compare(at, 3, "━") == 0;
    empty += line.compare(at, 3, "─") == 0 || line.compare(at, 3, "╸") == 0;
  }
  EXPECT_EQ(filled + empty, 79 - 8 - 40);  // what the words leave of 79 columns
  EXPECT_EQ(filled, (filled + empty) / 4);
}

TEST(ConsoleSink, RedrawsAtMostTenTimesASecond) {
  CapturedTerminal captured(/*is_interactive=*/true);
  double now = 0;
  ConsoleSink sink(captured.terminal(), {.total_steps = 1000, .clock = [&] { return now; }});
  int num_drawn = 0;
  for (int step = 1; step <= 1000; ++step) {
    now = step * 0.001;
    sink.step_done(step);
    if (!captured.take().empty()) ++num_drawn;
  }
  EXPECT_GE(num_drawn, 9);
  EXPECT_LE(num_drawn, 11);
}

TEST(ConsoleSink, CountsTimeFromThisStartAndTakesTheNearerLimit) {
  CapturedTerminal captured(/*is_interactive=*/false);
  double now = 0;
  ConsoleSink sink(
      captured.terminal(),
      {.first_step = 900, .total_steps = 1000, .total_seconds = 60, .clock = [&] { return now; }});
  now = 10;
  sink.record({.step = 950, .split = "", .values = {}});  // 50 steps took 10 s
  EXPECT_THAT(captured.take(), HasSubstr("0:10 left"));
  sink.record({.step = 905,
               .split = "",
               .values = {}});  // 95 more would take 190 s, but only 50 s are left
  EXPECT_THAT(captured.take(), HasSubstr("0:50 left"));
}

TEST(ConsoleSink, DoesWithoutWhatItDoesNotKnow) {
  CapturedTerminal captured(/*is_interactive=*/false);
  ConsoleSink sink(captured.terminal(), {});
  sink.record({.step = 5, .split = "", .values = {{"loss", 1.0}}});
  EXPECT_EQ(captured.take(), "step 5  loss 1.0000\n");
}

TEST(ConsoleSink, LeavesTheBarAsALineAtItsEnd) {
  CapturedTerminal captured(/*is_interactive=*/true);
  {
    ConsoleSink sink(captured.terminal(), {.total_steps = 2});
    sink.step_done(1);
  }
  EXPECT_THAT(captured.take(), ::testing::EndsWith("\n"));
}

TEST(FormatDuration, ReadsLikeAClock) {
  EXPECT_EQ(format_duration(7.4), "0:07");
  EXPECT_EQ(format_duration(725), "12:05");
  EXPECT_EQ(format_duration(3 * 3600 + 4 * 60 + 5), "3:04:05");
  EXPECT_EQ(format_duration(51 * 3600), "2 days 3 h");
  EXPECT_EQ(format_duration(-3), "0:00");
}

}  // namespace
}  // namespace triga
