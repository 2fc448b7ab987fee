// From a file on disk to one node: the file itself, --set, variables.
#include "config/load.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <fstream>

#include "config/yaml.h"
#include "tests/support/temporary_folder.h"

namespace triga {
namespace {

using testing::HasSubstr;

class ConfigFile : public testing::Test {
 protected:
  std::string write(const std::string& name, const std::string& text) const {
    std::ofstream(folder_ / name) << text;
    return (folder_ / name).string();
  }

 private:
  test::TemporaryFolder temporary_;

 protected:
  const std::filesystem::path& folder_ = temporary_.path();
};

template <class Action>
std::string error_of(Action action) {
  try {
    action();
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "";
}

TEST_F(ConfigFile, ThatIsMissingIsAnsweredWithTheNearest) {
  write("gpt2_shakespeare.yaml", "a: 1\n");
  const auto file = (folder_ / "gpt2_shakespear.yaml").string();
  EXPECT_EQ(
      error_of([&] { read_config_file(file); }),
      file + ": no such file; did you mean " + (folder_ / "gpt2_shakespeare.yaml").string() + "?");
  EXPECT_THAT(error_of([&] { read_config_file((folder_ / "other.yaml").string()); }),
              HasSubstr("that folder has gpt2_shakespeare.yaml"));
  EXPECT_THAT(error_of([&] { read_config_file((folder_ / "no" / "a.yaml").string()); }),
              HasSubstr("there is no folder"));
}

TEST_F(ConfigFile, MustBeARegularFile) {
  EXPECT_THAT(error_of([&] { read_config_file(folder_.string()); }), HasSubstr("is a folder"));
  EXPECT_THAT(error_of([&] { read_config_file("/dev/zero"); }), HasSubstr("is not a regular file"));
}

TEST_F(ConfigFile, ThatCannotBeOpenedIsRefusedWithTheReason) {
  const auto file = write("a.yaml", "a: 1\n");
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  const rlimit none{0, before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &none), 0);  // also for root, whom no permission stops
  const auto error = error_of([&] { read_config_file(file); });
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
  EXPECT_EQ(error, file + ": cannot be read: Too many open files");
}

TEST_F(ConfigFile, OfTenMegabytesIsRefused) {
  const auto file = write("a.yaml", std::string(10 << 20, 'x'));
  EXPECT_THAT(error_of([&] { load_config({file, {}, {}}); }), HasSubstr("more than 1048576 bytes"));
}

TEST_F(ConfigFile, IsChangedByOverridesThenExpanded) {
  const auto file = write("a.yaml", "a: {b: 1}\npath: ${data}/x\n");
  Variables variables{"/site/data", [](const std::string& name) -> std::optional<std::string> {
                        if (name == "USER") return "ada";
                        return std::nullopt;
                      }};
  const auto root = load_config({file, {"a.c.d=[1, x]", "who=${env:USER}$$"}, variables});
  EXPECT_EQ(root.find("path")->scalar, "/site/data/x");
  EXPECT_EQ(root.find("who")->scalar, "ada$");
  EXPECT_EQ(root.find("a")->find("c")->find("d")->items[1].path, "a.c.d[1]");
}

ConfigNode parsed(const std::string& text) {
  return parse_yaml(text, "a.yaml");
}

TEST(Override, SetsMakesAndReplaces) {
  auto root = parsed("a: {b: 1}\nlist: [{x: 1}, {x: 2}]\nempty:\n");
  apply_override(root, "a.b=2");
  apply_override(root, "list[1].x='5'");
  apply_override(root, "empty.k=v=w");
  apply_override(root, "a.none=");
  EXPECT_EQ(root.find("a")->find("b")->scalar, "2");
  EXPECT_EQ(root.find("a")->find("b")->where(), "--set a.b=2: a.b");
  EXPECT_TRUE(root.find("list")->items[1].find("x")->quoted);
  EXPECT_EQ(root.find("empty")->find("k")->scalar, "v=w");
  EXPECT_EQ(root.find("a")->find("none")->kind, ConfigNode::Kind::kNull);
}

TEST(Override, RefusesWhatLeadsNowhere) {
  auto root = parsed("a: {b: 1}\nlist: [1]\n");
  const auto error = [&](const std::string& setting) {
    return error_of([&] { apply_override(root, setting); });
  };
  for (const std::string setting :
       {"a", "=1", "a..b=1", "a[x]=1", "[0]=1", "a.=1", ".a=1", "a[0=1"})
    EXPECT_THAT(error(setting), HasSubstr("--set " + setting + ": expected KEY=VALUE"));
  EXPECT_EQ(error("a.b.c=1"), "--set a.b.c=1: a.b is '1', so it has no key 'c'");
  EXPECT_THAT(error("list.x=1"), HasSubstr("list is a list of 1, so it has no key 'x'"));
  EXPECT_THAT(error("list[1]=1"), HasSubstr("list is a list of 1, so it has no item [1]"));
  EXPECT_THAT(error("a.b={"), HasSubstr("--set a.b={: not valid YAML"));
}

TEST(Variable, ThatIsUnknownOrUnsetIsRefused) {
  const auto error = [](const std::string& value) {
    auto root = parsed("a: 1\nb: \"" + value + "\"\n");
    return error_of([&] {
      expand_variables(root, {"/d", [](const auto&) { return std::nullopt; }});
    });
  };
  EXPECT_THAT(error("${dta}/x"), HasSubstr("a.yaml:2: b: unknown variable ${dta}"));
  EXPECT_THAT(error("${env:HOMES}"), HasSubstr("HOMES is not set in the environment"));
  EXPECT_THAT(error("${data"), HasSubstr("'${' without '}'"));
  EXPECT_EQ(error("price$ $x"), "");
}

TEST(Variable, EscapesSurviveExpansion) {
  for (const std::string text : {"$", "$$", "${data}", "wpe$", "$${x}", "a"}) {
    auto node = ConfigNode::make_scalar(text);
    escape_variables(node);
    expand_variables(node, {});
    EXPECT_EQ(node.scalar, text);
  }
}

ConfigNode with_site(const std::string& experiment, const std::string& site) {
  ConfigNode root = parse_yaml(experiment, "a.yaml");
  merge_site(root, parse_yaml(site, "site.yaml"));
  return root;
}

TEST(SiteFile, IsLaidOverLaunchKeyByKey) {
  const ConfigNode root = with_site(
      "name: a\nlaunch: {nodes: 2, ranks_per_node: 1, environment: {A: 1, B: 2}, srun: [-a, -b]}\n",
      "launch:\n  ranks_per_node: 8\n  environment: {B: 3, C: 4}\n  srun: [-c]\n");
  auto expected = parse_yaml(
      "name: a\nlaunch: {nodes: 2, ranks_per_node: 8, environment: {A: 1, B: 3, C: 4}, srun: "
      "[-c]}\n",
      "expected.yaml");
  EXPECT_EQ(write_yaml(root), write_yaml(expected));
  EXPECT_EQ(root.find("launch")->find("ranks_per_node")->where(),
            "site.yaml:2: launch.ranks_per_node")
      << "errors name the file that says so";
}

TEST(SiteFile, MayBringAllOfLaunch) {
  EXPECT_EQ(write_yaml(with_site("name: a\n", "launch: {partition: gpu}\n")),
            write_yaml(parse_yaml("name: a\nlaunch: {partition: gpu}\n", "expected.yaml")));
}

TEST(SiteFile, HasNoOtherKey) {
  const auto problem = [](const std::string& site) {
    return error_of([&] { with_site("name: a\n", site); });
  };
  EXPECT_THAT(problem("partition: gpu\n"),
              HasSubstr("site.yaml:1: partition: unknown key; a site file has one key"));
  EXPECT_THAT(problem("launch: gpu\n"), HasSubstr("site.yaml:1: launch: a site file has one key"));
}

TEST_F(ConfigFile, LaterSiteFilesAndSettingsWin) {
  ConfigSource source;
  source.file = write("a.yaml", "name: a\nlaunch: {nodes: 1, account: a, partition: a, time: 1}\n");
  source.site_files = {write("first.yaml", "launch: {account: b, partition: b, time: 2}\n"),
                       write("second.yaml", "launch: {partition: c, time: 3}\n")};
  source.overrides = {"launch.time=4"};
  EXPECT_EQ(write_yaml(load_config(source)),
            write_yaml(parse_yaml(
                "name: a\nlaunch: {nodes: 1, account: b, partition: c, time: 4}\n", "x.yaml")));
}

}  // namespace
}  // namespace triga
