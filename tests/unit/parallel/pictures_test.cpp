// docs/pictures: the schedules as they are drawn. With TRIGA_WRITE_PICTURES=1 they are written anew.
#include <c10/util/StringUtil.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "parallel/pipeline/schedule.h"
#include "parallel/pipeline/schedule_text.h"
#include "parallel/pipeline/simulate.h"

namespace triga {
namespace {

const std::filesystem::path kFolder = std::filesystem::path(TRIGA_SOURCE_DIR) / "docs" / "pictures";

std::string picture_of(const ScheduleKind& kind) {
  constexpr int kRanks = 4, kMicrobatches = 8;
  const int chunks = kind.least_chunks;
  const Schedule schedule = make_schedule(kind.name, {kRanks, kMicrobatches, chunks});
  const double part = 1.0 / chunks;
  const Simulation simulation =
      simulate(schedule, equal_costs(schedule.num_stages(), part, part, part));
  return to_svg(simulation, c10::str(kind.name, ": 4 ranks, 8 microbatches",
                                     chunks > 1 ? c10::str(", ", chunks, " stages a rank") : ""));
}

TEST(Pictures, AreThoseOfTheSchedules) {
  const bool writes = std::getenv("TRIGA_WRITE_PICTURES") != nullptr;
  for (const ScheduleKind& kind : schedule_kinds()) {
    const std::filesystem::path path = kFolder / (std::string(kind.name) + ".svg");
    if (writes) std::ofstream(path) << picture_of(kind);
    std::stringstream content;
    content << std::ifstream(path).rdbuf();
    EXPECT_EQ(content.str(), picture_of(kind))
        << path << " is another picture; TRIGA_WRITE_PICTURES=1 unit_parallel "
        << "--gtest_filter='Pictures.*' writes it anew";
    const std::filesystem::path page = kFolder.parent_path() / "pipeline.md";
    std::stringstream text;
    text << std::ifstream(page).rdbuf();
    EXPECT_THAT(text.str(), testing::HasSubstr("pictures/" + std::string(kind.name) + ".svg"));
  }
}

}  // namespace
}  // namespace triga
