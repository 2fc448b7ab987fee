#include "trainer/rank_record.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "tests/support/message_of.h"
#include "tests/support/temporary_folder.h"

namespace triga {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

RankRecord record_of(int rank, int64_t step = 17) {
  RankRecord record;
  record.rank = rank;
  record.world_size = 3;
  record.host = "a";
  record.step = step;
  record.what = "forward of microbatch 2";
  record.written_at = 1000;
  return record;
}

class RankRecordTest : public ::testing::Test {
 protected:
  RankRecordTest() { std::filesystem::create_directories(directory_.rank_records()); }
  const test::TemporaryFolder folder_;
  const RunDirectory directory_{folder_.path()};
};

TEST_F(RankRecordTest, IsReadAsItWasWritten) {
  RankRecord record = record_of(1);
  record.pid = 4321;
  record.stage_rank = 1;
  record.stage = 3;
  record.microbatch = 2;
  record.what = "in all_reduce \"gradients\"";
  record.is_waiting = true;
  record.still_seconds = 0.25;
  record.every_seconds = 4;
  record.num_failed_saves = 3;
  record.work = {10, 40, 0.5, 3.25, 1.5, 0.125};
  write_rank_record(directory_, record);
  const std::vector<RankRecord> read = read_rank_records(posix_files(), directory_);
  ASSERT_EQ(read.size(), 1U);
  const RankRecord& one = read[0];
  EXPECT_EQ(one.pid, 4321);
  EXPECT_EQ(one.stage_rank, 1);
  EXPECT_EQ(one.stage, 3);
  EXPECT_EQ(one.microbatch, 2);
  EXPECT_EQ(one.what, record.what);
  EXPECT_TRUE(one.is_waiting);
  EXPECT_EQ(one.still_seconds, 0.25);
  EXPECT_EQ(one.every_seconds, 4);
  EXPECT_EQ(one.num_failed_saves, 3);
  EXPECT_EQ(one.work.num_microbatches, 40);
  EXPECT_EQ(one.work.compute_seconds, 3.25);
  EXPECT_EQ(one.work.save_seconds, 0.125);
}

TEST_F(RankRecordTest, IsReplacedByOneThatIsShorterAndCutWhenItIsLong) {
  RankRecord record = record_of(0);
  record.what = std::string(5000, 'x');
  write_rank_record(directory_, record);
  record.what = "update";
  write_rank_record(directory_, record);
  const auto read = read_rank_records(posix_files(), directory_);
  ASSERT_EQ(read.size(), 1U);
  EXPECT_EQ(read[0].what, "update");
  EXPECT_EQ(std::filesystem::file_size(directory_.rank_record(0)), 1024U);
}

BegunOperation begun_operation(uint64_t number) {
  return {~uint64_t{0},
          1,
          2,
          number,
          987654321012345678U,
          876543210123456789U,
          "send of 5 fp32 \"x\" (step 7)"};
}

TEST_F(RankRecordTest, KeepsWhatWasBegunUnlessItIsTorn) {
  RankRecord record = record_of(0);
  for (uint64_t number = 1; number <= 40; ++number) record.begun.push_back(begun_operation(number));
  write_rank_record(directory_, record);
  EXPECT_GT(std::filesystem::file_size(directory_.rank_record(0)), 1024U);
  const std::string longer = read_text(posix_files(), directory_.rank_record(0));
  record.begun = {begun_operation(77), begun_operation(88)};
  write_rank_record(directory_, record);
  EXPECT_EQ(std::filesystem::file_size(directory_.rank_record(0)), 1024U);
  const std::string text = read_text(posix_files(), directory_.rank_record(0));
  // As it is read before the end of what was longer has gone.
  folder_.write(".progress/rank-0.json", text + longer.substr(text.size()));
  auto read = read_rank_record(posix_files(), directory_, 0);
  ASSERT_TRUE(read);
  ASSERT_EQ(read->begun.size(), 2U);
  const BegunOperation& one = read->begun[0];
  EXPECT_EQ(one.group, ~uint64_t{0});
  EXPECT_EQ(one.from, 1);
  EXPECT_EQ(one.to, 2);
  EXPECT_EQ(one.number, 77U);
  EXPECT_EQ(one.before, 987654321012345678U);
  EXPECT_EQ(one.digest, 876543210123456789U);
  EXPECT_EQ(one.text, begun_operation(77).text);

  record.begun[0].text = "a name that is not UTF-8: \xE9";
  write_rank_record(directory_, record);
  EXPECT_EQ(read_rank_record(posix_files(), directory_, 0)->begun.size(), 2U);

  // As where two writings are mixed, in what stands first.
  for (const std::string part : {"18446744073709551615,", ",1,2,", ",77,", "987654321012345678,",
                                 "876543210123456789,", "send of 5"}) {
    std::string torn = text;
    const size_t at = torn.find(part, torn.find("\"begun\""));
    ASSERT_NE(at, std::string::npos) << part;
    char& digit = torn[at + part.find_last_of("0123456789")];
    digit = digit == '3' ? '4' : '3';
    folder_.write(".progress/rank-0.json", torn);
    read = read_rank_record(posix_files(), directory_, 0);
    ASSERT_TRUE(read) << part;
    ASSERT_EQ(read->begun.size(), 1U) << part;
    EXPECT_EQ(read->begun[0].number, 88U);
  }
}

TEST_F(RankRecordTest, ThatIsTornIsLeftOutAndTheOthersAreInOrder) {
  for (const int rank : {10, 2, 1}) write_rank_record(directory_, record_of(rank));
  folder_.write(".progress/rank-3.json", "{\"rank\": 3, \"wor");
  std::vector<int> ranks;
  for (const RankRecord& one : read_rank_records(posix_files(), directory_))
    ranks.push_back(one.rank);
  EXPECT_THAT(ranks, ElementsAre(1, 2, 10));
}

TEST_F(RankRecordTest, ThatCannotBeWrittenNamesTheFile) {
  std::filesystem::remove(directory_.rank_records());
  EXPECT_THAT(test::message_of<FileError>([&] { write_rank_record(directory_, record_of(0)); }),
              HasSubstr("rank-0.json"));
  EXPECT_TRUE(read_rank_records(posix_files(), directory_).empty());
}

TEST(WhoIsBehind, StandsStillAtAnEarlierStep) {
  std::vector<RankRecord> records = {record_of(0, 18), record_of(1, 17), record_of(2, 18)};
  EXPECT_THAT(who_is_behind(records), ElementsAre(false, false, false)) << "seen a little earlier";
  records[1].still_seconds = 3;
  EXPECT_THAT(who_is_behind(records), ElementsAre(false, true, false));
  records[1].still_seconds = 0;
  records[1].written_at -= 20;
  EXPECT_THAT(who_is_behind(records), ElementsAre(false, true, false)) << "it is silent";
}

TEST(WhoIsBehind, DoesSomethingWhileOthersWaitForLong) {
  std::vector<RankRecord> records = {record_of(0), record_of(1), record_of(2)};
  records[0].is_waiting = records[2].is_waiting = true;
  records[0].still_seconds = 0.1;
  EXPECT_THAT(who_is_behind(records), ElementsAre(false, false, false));
  records[0].still_seconds = 3;
  EXPECT_THAT(who_is_behind(records), ElementsAre(false, true, false));
}

TEST(SilentSeconds, CountOnlyWhenARankIsLate) {
  RankRecord record = record_of(0);
  EXPECT_EQ(silent_seconds(record, 1009), 0);
  EXPECT_EQ(silent_seconds(record, 1011), 11);
  record.every_seconds = 5;  // of many ranks
  EXPECT_EQ(silent_seconds(record, 1020), 0);
  EXPECT_EQ(whereabouts(record_of(1), 1030),
            "rank 1 on host a (silent): step 17, forward of microbatch 2, for 30 s");
}

}  // namespace
}  // namespace triga
