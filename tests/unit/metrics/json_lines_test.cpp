#include "metrics/json_lines.h"

#include <gmock/gmock.h>

#include <limits>
#include <nlohmann/json.hpp>

#include "base/log_outputs.h"
#include "tests/support/captured_terminal.h"
#include "tests/support/message_of.h"
#include "tests/support/temporary_folder.h"

namespace triga {
namespace {

using test::TemporaryFolder;
using ::testing::HasSubstr;

std::string content(const std::string& path) {
  return read_text(posix_files(), path);
}

TEST(JsonLinesSink, WritesOneObjectARecord) {
  const TemporaryFolder folder;
  const std::string path = folder / "run/metrics.jsonl";
  JsonLinesSink sink(posix_files(), path, 0, 0);
  sink.record({.step = 10,
               .split = "",
               .values = {{"loss", 2.5}, {"grad_norm", 0.1}, {"learning_rate", 6e-4}}});
  sink.record({.step = 10, .split = "validation", .values = {{"loss", 2.25}}});
  EXPECT_EQ(content(path),
            "{\"step\":10,\"loss\":2.5,\"grad_norm\":0.1,\"learning_rate\":0.0006}\n"
            "{\"step\":10,\"split\":\"validation\",\"loss\":2.25}\n");
}

TEST(JsonLinesSink, KeepsEveryBitOfANumber) {
  const TemporaryFolder folder;
  const double third = 1.0 / 3, tiny = 4.9e-324;
  JsonLinesSink(posix_files(), folder / "m.jsonl", 0, 0)
      .record({.step = 1, .split = "", .values = {{"a", third}, {"b", tiny}}});
  const auto object = nlohmann::json::parse(content(folder / "m.jsonl"));
  EXPECT_EQ(object["a"], third);
  EXPECT_EQ(object["b"], tiny);
}

TEST(JsonLinesSink, WritesNullForWhatIsNotFinite) {
  const TemporaryFolder folder;
  JsonLinesSink sink(posix_files(), folder / "m.jsonl", 0, 0);
  sink.record({.step = 1,
               .split = "",
               .values = {{"loss", std::numeric_limits<double>::quiet_NaN()},
                          {"grad_norm", std::numeric_limits<double>::infinity()}}});
  EXPECT_EQ(content(folder / "m.jsonl"), "{\"step\":1,\"loss\":null,\"grad_norm\":null}\n");
}

TEST(JsonLinesSink, ShowsANameThatIsNotUtf8AsSuch) {
  const TemporaryFolder folder;
  JsonLinesSink sink(posix_files(), folder / "m.jsonl", 0, 0);
  sink.record({.step = 1, .split = "", .values = {{"qualit\xe9", 0.5}}});
  EXPECT_EQ(content(folder / "m.jsonl"), "{\"step\":1,\"qualit\xEF\xBF\xBD\":0.5}\n");
}

TEST(JsonLinesSink, DropsLaterStepsAndATornLineWhenARunGoesOn) {
  const TemporaryFolder folder;
  const std::string before =
      "{\"step\":10,\"loss\":3}\n{\"step\":20,\"loss\":2}\n{\"step\":20,\"split\":\"validation\","
      "\"loss\":2}\n";
  const auto path = folder.write("m.jsonl", before +
                                                "{\"step\":30,\"loss\":1}\n{\"step\":30,\"split\":"
                                                "\"validation\",\"loss\":1}\n{\"step\":40,\"lo");
  JsonLinesSink sink(posix_files(), path, 20, 20);
  EXPECT_EQ(content(path), before);
  sink.record({.step = 30, .split = "", .values = {{"loss", 1.5}}});
  EXPECT_EQ(content(path), before + "{\"step\":30,\"loss\":1.5}\n");
}

TEST(JsonLinesSink, DropsAnEvaluationThatIsMadeAgain) {
  const TemporaryFolder folder;
  const std::string first = "{\"step\":10,\"split\":\"validation\"}\n{\"step\":20}\n";
  const Path path = folder.write("m.jsonl", first + "{\"step\":20,\"split\":\"validation\"}\n");
  JsonLinesSink sink(posix_files(), path, 20, 10);
  EXPECT_EQ(read_text(posix_files(), path), first);
}

TEST(JsonLinesSink, DropsATornLineOfAStepThatIsKept) {
  const TemporaryFolder folder;
  const auto path = folder.write("m.jsonl", "{\"step\":10,\"loss\":3}\n{\"step\":20,\"loss\":2}");
  JsonLinesSink sink(posix_files(), path, 20, 20);  // without its end the number may be 2 of 2.5
  EXPECT_EQ(content(path), "{\"step\":10,\"loss\":3}\n");
}

TEST(JsonLinesSink, DoesNotTouchAFileThatIsWhole) {
  const TemporaryFolder folder;
  const auto path = folder.write("m.jsonl", "{\"step\":10,\"loss\":3}\n");
  const auto time = std::filesystem::last_write_time(path);
  JsonLinesSink sink(posix_files(), path, 10, 10);
  EXPECT_EQ(std::filesystem::last_write_time(path), time);
}

TEST(JsonLinesSink, SaysAFullDiskOnceAndGoesOn) {
  test::CapturedTerminal captured(/*is_interactive=*/false);
  const LogOutputs outputs({.terminal = &captured.terminal()});
  AppendFile file("/dev/full");
  file.append("one\n");
  file.append("two\n");
  EXPECT_EQ(
      captured.take(),
      "[metrics] warning: cannot write /dev/full: No space left on device; the run goes on\n");
}

TEST(AppendFile, SaysWhatItCannotOpen) {
  const TemporaryFolder folder;
  folder.write("file", "x");
  EXPECT_THAT(test::message_of<Error>([&] { AppendFile(folder / "file/metrics.jsonl"); }),
              HasSubstr("cannot open"));
}

}  // namespace
}  // namespace triga
