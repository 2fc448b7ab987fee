#include "metrics/gradient_log.h"

#include <gmock/gmock.h>

#include <limits>

#include "tests/support/message_of.h"
#include "tests/support/temporary_folder.h"
#include "triga/error.h"

namespace triga {
namespace {

using test::message_of;
using test::TemporaryFolder;
using ::testing::HasSubstr;
using ::testing::Not;

GradientFiles files_in(const TemporaryFolder& folder) {
  return {folder / "gradients.csv", folder / "gradients.svg"};
}

std::string content(const Path& path) {
  return read_text(posix_files(), path);
}

size_t num_lines(const std::string& svg) {
  size_t count = 0;
  for (size_t at = 0; (at = svg.find("<polyline", at)) != svg.npos; ++at) ++count;
  return count;
}

TEST(GradientLog, WritesATableAndACurveForEachStep) {
  const TemporaryFolder folder;
  GradientLog log(posix_files(), files_in(folder), "a & b", 0);
  log.record_gradients(1, {{"rnn.0.cell", {0.5}}, {"rnn.0.hidden", {0.25, 1e-30}}});
  log.record_gradients(100, {{"rnn.0.hidden", {2, 3}}});
  EXPECT_EQ(content(files_in(folder).table),
            "step,name,place,norm\n1,rnn.0.cell,0,0.5\n1,rnn.0.hidden,0,0.25\n"
            "1,rnn.0.hidden,1,1e-30\n100,rnn.0.hidden,0,2\n100,rnn.0.hidden,1,3\n");
  const std::string svg = content(files_in(folder).plot);
  EXPECT_EQ(num_lines(svg), 3u);
  EXPECT_THAT(svg, HasSubstr("a &amp; b: rnn.0.hidden"));
  EXPECT_THAT(svg, HasSubstr("step 100"));
  EXPECT_THAT(svg, HasSubstr(">1e-30<"));
}

TEST(GradientLog, DropsLaterStepsAndATornLineWhenARunGoesOn) {
  const TemporaryFolder folder;
  {
    GradientLog log(posix_files(), files_in(folder), "run", 0);
    for (const int64_t step : {1, 10, 20}) log.record_gradients(step, {{"rnn.0.hidden", {1, 2}}});
  }
  atomic_write(posix_files(), files_in(folder).table,
               content(files_in(folder).table) + "20,rnn.0.hi");
  GradientLog log(posix_files(), files_in(folder), "run", 10);
  log.record_gradients(11, {{"rnn.0.hidden", {3}}});
  EXPECT_EQ(content(files_in(folder).table),
            "step,name,place,norm\n1,rnn.0.hidden,0,1\n1,rnn.0.hidden,1,2\n10,rnn.0.hidden,0,1\n"
            "10,rnn.0.hidden,1,2\n11,rnn.0.hidden,0,3\n");
}

TEST(GradientLog, PutsATableAsideThatSomebodyHasChanged) {
  const TemporaryFolder folder;
  const std::string changed = "step,name,place,norm\n1,rnn.0.hidden,1,2\n";
  atomic_write(posix_files(), files_in(folder).table, changed);
  GradientLog log(posix_files(), files_in(folder), "run", 10);
  log.record_gradients(11, {{"rnn.0.hidden", {3}}});
  EXPECT_EQ(content(files_in(folder).table), "step,name,place,norm\n11,rnn.0.hidden,0,3\n");
  EXPECT_EQ(content(folder / "gradients.csv.damaged"), changed);
}

TEST(GradientPanels, RefusesWhatIsNoTable) {
  EXPECT_THAT(message_of<DataError>([] { gradient_panels("a,b\n", "x.csv"); }),
              HasSubstr("x.csv is no table of gradients"));
  for (const char* line : {"1,rnn,0", "x,rnn,0,1", "1,rnn,0,1e", "1,rnn,1,1", "1,rnn,-1,1"})
    EXPECT_THAT(message_of<DataError>([&] {
                  gradient_panels(std::string("step,name,place,norm\n") + line + "\n", "x.csv");
                }),
                HasSubstr("x.csv:2: '"))
        << line;
}

TEST(GradientPlot, LeavesOutWhatHasNoLogarithm) {
  const double infinity = std::numeric_limits<double>::infinity();
  const std::string svg = gradient_plot({{"run", {{1, {1, 0.1, 0, infinity, 0.01}}}}});
  EXPECT_EQ(num_lines(svg), 2u);
  EXPECT_THAT(svg, Not(HasSubstr("inf")));
  EXPECT_THAT(svg, Not(HasSubstr("nan")));
  EXPECT_THAT(gradient_plot({{"empty", {{1, {0, 0}}}}}), Not(HasSubstr("nan")));
}

TEST(GradientPlot, ShowsSomeOfManyCurvesTheFirstAndTheLastAmongThem) {
  GradientPanel panel{"run", {}};
  for (int64_t step = 1; step <= 100; ++step) panel.curves.push_back({step, {1, 2}});
  const std::string svg = gradient_plot({panel});
  EXPECT_EQ(num_lines(svg), 8u);
  EXPECT_THAT(svg, HasSubstr(">step 1<"));
  EXPECT_THAT(svg, HasSubstr(">step 100<"));
}

}  // namespace
}  // namespace triga
