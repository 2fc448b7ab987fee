// Schedules over all shapes: complete, without deadlock, within their memory, with the bubble that
// their papers give.
#include "parallel/pipeline/schedule.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "parallel/pipeline/schedule_check.h"
#include "parallel/pipeline/schedule_text.h"
#include "parallel/pipeline/simulate.h"
#include "tests/support/message_of.h"
#include "triga/error.h"

namespace triga {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

/// Times of the parts of a stage, equal for all: of a model that is cut into `chunks` times as many
/// stages, each takes so much less.
Simulation run(const Schedule& schedule, int chunks) {
  const double part = 1.0 / chunks;
  return simulate(schedule, equal_costs(schedule.num_stages(), part, part, part));
}

template <class Function>
void for_all_shapes(const Function& function) {
  for (const ScheduleKind& kind : schedule_kinds())
    for (int ranks = 1; ranks <= 16; ++ranks)
      for (int chunks = kind.least_chunks; chunks <= std::min(kind.most_chunks, 4); ++chunks)
        for (int microbatches = 1; microbatches <= 64; ++microbatches)
          function(kind, ScheduleShape{ranks, microbatches, chunks});
}

/// What the papers' formulas need.
bool is_in_domain(std::string_view name, const ScheduleShape& shape) {
  if (name == "interleaved_1f1b") return shape.num_microbatches % shape.num_ranks == 0;
  if (name == "zb_h1") return shape.num_microbatches >= shape.num_ranks;
  if (name == "zb_v") return shape.num_microbatches >= 2 * shape.num_ranks - 1;
  return true;
}

double published_bubble(std::string_view name, const ScheduleShape& shape) {
  const double p = shape.num_ranks, m = shape.num_microbatches, v = shape.chunks;
  if (name == "interleaved_1f1b") return (p - 1) / (v * m + p - 1);
  if (name == "zb_h1") return (p - 1) / (3 * m + p - 1);  // (p - 1)(F + I - W)
  if (name == "zb_v") return 0;
  return (p - 1) / (m + p - 1);
}

/// Pairs of stage and microbatch that a rank may hold.
int most_activations(std::string_view name, const ScheduleShape& shape, int rank) {
  const int p = shape.num_ranks, m = shape.num_microbatches, v = shape.chunks;
  if (name == "gpipe") return m;
  if (name == "1f1b") return std::min(m, p - rank);
  if (name == "zb_h1") return std::min(m, p);
  if (name == "zb_v") return std::min(2 * m, 2 * p);
  return std::min(m * v, (p - rank - 1) * 2 + (v - 1) * p + 1);
}

TEST(Schedules, AreCompleteAndEnd) {
  for_all_shapes([](const ScheduleKind& kind, const ScheduleShape& shape) {
    const Schedule schedule = make_schedule(kind.name, shape);
    EXPECT_THAT(check_schedule(schedule), IsEmpty())
        << kind.name << " " << shape.num_ranks << " " << shape.num_microbatches << " "
        << shape.chunks;
    EXPECT_EQ(schedule.num_stages(), shape.num_ranks * shape.chunks);
  });
}

TEST(Schedules, KeepToTheirMemory) {
  for_all_shapes([](const ScheduleKind& kind, const ScheduleShape& shape) {
    const std::vector<int> peaks = peak_activations(make_schedule(kind.name, shape));
    for (int rank = 0; rank < shape.num_ranks; ++rank)
      EXPECT_LE(peaks[static_cast<size_t>(rank)], most_activations(kind.name, shape, rank))
          << kind.name << " " << shape.num_ranks << " " << shape.num_microbatches << " "
          << shape.chunks;
  });
}

TEST(Schedules, HaveTheBubbleOfTheirPapers) {
  for_all_shapes([](const ScheduleKind& kind, const ScheduleShape& shape) {
    if (!is_in_domain(kind.name, shape)) return;
    EXPECT_NEAR(run(make_schedule(kind.name, shape), shape.chunks).bubble(),
                published_bubble(kind.name, shape), 1e-9)
        << kind.name << " " << shape.num_ranks << " " << shape.num_microbatches << " "
        << shape.chunks;
  });
}

TEST(Schedules, AreNeverWorseThan1F1B) {
  for_all_shapes([](const ScheduleKind& kind, const ScheduleShape& shape) {
    const ScheduleShape plain{shape.num_ranks, shape.num_microbatches, 1};
    EXPECT_LE(run(make_schedule(kind.name, shape), shape.chunks).seconds,
              run(make_schedule("1f1b", plain), 1).seconds + 1e-9)
        << kind.name << " " << shape.num_ranks << " " << shape.num_microbatches << " "
        << shape.chunks;
  });
}

TEST(Schedules, AreFoundByNameInAnyCase) {
  EXPECT_EQ(make_schedule("ZB_H1", {2, 2, 1}).name, "zb_h1");
  EXPECT_THAT(test::message_of<ConfigError>([] {
                make_schedule("zb", {2, 2, 1});
              }),
              HasSubstr("no pipeline schedule 'zb'; there are gpipe, 1f1b, interleaved_1f1b"));
  EXPECT_THAT(test::message_of<ConfigError>([] {
                make_schedule("1f1b", {2, 2, 3});
              }),
              HasSubstr("takes 1 stage a rank, not 3"));
  EXPECT_THAT(test::message_of<ConfigError>([] {
                make_schedule("zb_v", {2, 2, 1});
              }),
              HasSubstr("takes 2 stages a rank, not 1"));
}

TEST(Schedules, OfFewerMicrobatchesKeepTheirOrder) {
  for (const ScheduleKind& kind : schedule_kinds()) {
    const Schedule whole = make_schedule(kind.name, {3, 6, kind.least_chunks});
    for (int num = 1; num <= 6; ++num) {
      const Schedule fewer = first_microbatches(whole, num);
      EXPECT_THAT(check_schedule(fewer), IsEmpty()) << kind.name << " " << num;
      EXPECT_EQ(find_deadlock(fewer, Sends::kBuffered), std::nullopt) << kind.name << " " << num;
      EXPECT_EQ(fewer.num_microbatches, num);
    }
  }
}

TEST(ScheduleChoice, OfAUsersOwnHasItsRanksAndMicrobatches) {
  ScheduleChoice choice;
  choice.own = schedule_from_csv("0F0,0F1,0B0,0B1\n1F0,1B0,1F1,1I1,1W1\n", "own.csv");
  EXPECT_EQ(choice.num_stages(2), 2);
  EXPECT_TRUE(splits_backward(choice.schedule(2, 2)));
  EXPECT_FALSE(splits_backward(choice.schedule(2, 1)));
  EXPECT_EQ(choice.schedule(2, 1).actions[0].size(), 2);
  EXPECT_THAT(test::message_of<ConfigError>([&] { choice.schedule(3, 1); }),
              HasSubstr("own.csv is a schedule of 2 ranks; parallel.pp is 3"));
  EXPECT_THAT(test::message_of<ConfigError>([&] { choice.schedule(2, 3); }),
              HasSubstr("own.csv plans 2 microbatches; a step has 3 on a rank"));
}

TEST(ForwardSchedule, TakesTurns) {
  // Two ranks with two stages each: no rank waits for a microbatch to go all the way.
  const Schedule schedule = forward_schedule({0, 1, 0, 1}, 2, 3);
  const double seconds = simulate(schedule, equal_costs(4, 1, 0, 0)).seconds;
  EXPECT_LE(seconds, 3 * 2 + 2);
  for (const auto& actions : schedule.actions) EXPECT_EQ(actions.size(), 6);
}

TEST(CheckSchedule, SaysWhatIsWrong) {
  const auto problems = [](const char* text) {
    return test::message_of<ConfigError>([&] { schedule_from_csv(text, "own.csv"); });
  };
  EXPECT_THAT(problems("0F0,0B0\n1F0\n"),
              HasSubstr("own.csv: stage 1, microbatch 0 needs one B, or one I and one W"));
  EXPECT_THAT(problems("0F0,0F0,0B0\n"), HasSubstr("goes forward 2 times, not once"));
  EXPECT_THAT(problems("0F0,0B0\n0F1,0B1\n"), HasSubstr("the stage is rank 0's"));
  EXPECT_THAT(problems("0F0,0Q0\n"), HasSubstr("own.csv:1: '0Q0' is no action"));
  EXPECT_THAT(problems("# nothing\n\n"), HasSubstr("no actions"));
  EXPECT_THAT(problems("0F0,0B0\n2F0,2B0\n"), HasSubstr("no rank has stage 1"));
  EXPECT_THAT(problems("0B0,0F0\n"), HasSubstr("rank 0: B of stage 0, microbatch 0 waits for F"));
  EXPECT_THAT(problems("0F0,0B0,0F1,0B1\n1F1,1B1,1F0,1B0\n"),
              HasSubstr("ranks wait for each other for ever:"));
  EXPECT_THAT(problems("0F99999999999,0B0\n"), HasSubstr("is no action"));
}

TEST(CheckSchedule, KnowsBlockingSends) {
  EXPECT_EQ(find_deadlock(make_schedule("gpipe", {3, 4, 1}), Sends::kBlocking), std::nullopt);
  // In its steady phase a rank sends activations to one that sends it gradients.
  EXPECT_THAT(find_deadlock(make_schedule("1f1b", {3, 4, 1}), Sends::kBlocking).value_or(""),
              HasSubstr("sends the result of F of stage"));
}

TEST(ScheduleText, ComesBackFromItsFile) {
  for_all_shapes([](const ScheduleKind& kind, const ScheduleShape& shape) {
    if (shape.num_ranks > 4 || shape.num_microbatches > 9) return;
    const Schedule schedule = make_schedule(kind.name, shape);
    const Schedule again = schedule_from_csv(to_csv(schedule), "again.csv");
    EXPECT_EQ(again.actions, schedule.actions);
    EXPECT_EQ(again.rank_of_stage, schedule.rank_of_stage);
    EXPECT_EQ(again.num_microbatches, schedule.num_microbatches);
  });
}

TEST(ScheduleText, DrawsAGrid) {
  const Schedule schedule = make_schedule("1f1b", {2, 3, 1});
  EXPECT_EQ(to_grid(simulate(schedule, equal_costs(2, 1, 1, 0)), 100),
            "rank 0  |F0-F1-...B0-F2-B1-...B2-|\n"
            "rank 1  |...F0-B0-F1-B1-F2-B2-...|\n");
  const std::string svg = to_svg(simulate(schedule, equal_costs(2, 1, 1, 1)), "1f1b");
  EXPECT_EQ(std::count(svg.begin(), svg.end(), '\n'), 1 + 2 + 2 + 2 * 12 + 4 + 1);
}

}  // namespace
}  // namespace triga
