// The command line before and beside CLI11: mistyped commands, arguments for the ranks.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "launchers/experiment_arguments.h"
#include "launchers/unknown_command.h"
#include "tests/support/message_of.h"
#include "triga/error.h"

namespace triga {
namespace {

using test::message_of;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;

std::string refusal(const std::vector<std::string>& arguments) {
  CLI::App app("", "triga");
  app.add_subcommand("check", "");
  app.add_subcommand("checkpoint", "")->add_subcommand("inspect", "");
  app.add_subcommand("__hidden", "")->group("");
  try {
    refuse_unknown_command(app, arguments);
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "";
}

TEST(UnknownCommand, IsAnsweredWithTheNearest) {
  EXPECT_THAT(
      refusal({"chek", "a.yaml"}),
      StartsWith("no command 'chek'; did you mean 'check'? There are: check, checkpoint\n"));
  EXPECT_THAT(refusal({"checkpoint", "inspct", "x"}),
              StartsWith("no command 'checkpoint inspct'; did you mean 'checkpoint inspect'?"));
  EXPECT_THAT(refusal({"fly"}), StartsWith("no command 'fly'; there are: check, checkpoint\n"));
}

TEST(UnknownCommand, LeavesTheRestOfTheLineAlone) {
  for (const auto& line : std::vector<std::vector<std::string>>{
           {}, {"--help"}, {"check", "fly"}, {"__hidden"}, {"checkpoint", "--x", "fly"}})
    EXPECT_EQ(refusal(line), "");
}

std::vector<std::string> for_ranks(const std::vector<std::string>& words) {
  ExperimentArguments arguments;
  CLI::App app;
  arguments.add_to(app);
  std::vector<std::string> reversed(words.rbegin(), words.rend());  // as CLI11 wants them
  app.parse(reversed);
  return arguments.to_command_line();
}

TEST(ExperimentArguments, GoToTheRanksAsTheyWereGiven) {
  EXPECT_THAT(for_ranks({"a.yaml"}), ElementsAre("a.yaml", "--resume", "auto"));
  EXPECT_THAT(for_ranks({"a.yaml", "--set", "a=1", "--set", "b=2", "--run-dir", "r", "--fresh",
                         "--progress", "bar", "--profile", "3"}),
              ElementsAre("a.yaml", "--progress", "bar", "--set", "a=1", "--set", "b=2",
                          "--run-dir", "r", "--profile", "3", "--fresh"));
}

TEST(ExperimentArguments, RefuseAWrongNumberOfStepsInShort) {
  for (const std::string wrong : {"-1", "x", "1.5", "99999999999999999999"}) {
    const std::string message = message_of<CLI::ValidationError>([&] {
      for_ranks({"a.yaml", "--profile=" + wrong});
    });
    EXPECT_THAT(message, HasSubstr("'" + wrong + "' is no number of steps; allowed: 0 and more"));
    EXPECT_LT(message.size(), 100u);
  }
}

}  // namespace
}  // namespace triga
