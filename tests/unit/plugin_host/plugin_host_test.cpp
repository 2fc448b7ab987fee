#include "plugin_host/plugin_host.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

#include "base/plugin_call.h"
#include "config/find_kind.h"
#include "tests/support/temporary_folder.h"

namespace triga {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;
using ::testing::StartsWith;

const fs::path kPlugins = TRIGA_TEST_PLUGINS;

std::string read_text(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

/// A host with its own registry and an empty folder.
class PluginHostTest : public ::testing::Test {
 protected:
  PluginTrial trial() const {
    return {{TRIGA_OPEN_PLUGIN}, cache_.path(), std::chrono::seconds(60)};
  }

  PluginHost host(std::vector<fs::path> search_path = {kPlugins}) {
    return PluginHost(registry_, PluginSearchPath(std::move(search_path)), trial());
  }

  /// What opening says, after checking that nothing was registered and that the file is named.
  std::string refusal(const std::string& name_or_path) {
    auto tried = host();
    try {
      tried.open(name_or_path);
      return "opened";
    } catch (const PluginError& error) {
      EXPECT_THAT(tried.opened(), IsEmpty());
      EXPECT_THAT(registry_.learning_rate_schedules.kinds(), IsEmpty());
      return error.what();
    }
  }

  std::string write(const std::string& name, const std::string& bytes) {
    std::ofstream(folder_ / name, std::ios::binary) << bytes;
    return (folder_ / name).string();
  }

  /// A copy of the good plugin in which `from` is replaced by `to`, of the same length.
  std::string patched(const std::string& from, const std::string& to) {
    auto bytes = read_text(kPlugins / "good.so");
    EXPECT_EQ(from.size(), to.size());
    const auto at = bytes.find(from);
    EXPECT_NE(at, std::string::npos) << from;
    bytes.replace(at, from.size(), to);
    return write("patched.so", bytes);
  }

  inline static const test::TemporaryFolder
      cache_;  // of all tests: a plugin that is good is tried once
  test::TemporaryFolder own_folder_;
  fs::path folder_ = own_folder_.path();
  Registry registry_;
};

TEST(PluginSearchPathTest, AGivenFileIsWhatItsNameMeans) {
  const PluginSearchPath path({kPlugins}, PluginSearchPath::Found{"good", "/elsewhere/good.so"});
  EXPECT_EQ(path.find("good"), "/elsewhere/good.so");
  EXPECT_EQ(path.find("misnamed"), kPlugins / "misnamed.so");
}

TEST_F(PluginHostTest, OpensAPluginByNameAndItsKindsWork) {
  auto opener = host();
  const auto& plugin = opener.open("good");
  EXPECT_EQ(plugin.name, "good");
  EXPECT_EQ(plugin.version, "1.2.3");
  EXPECT_EQ(plugin.path, kPlugins / "good.so");
  ASSERT_THAT(registry_.learning_rate_schedules.kinds(), SizeIs(1));
  const auto& kind = registry_.learning_rate_schedules.kinds()[0];
  EXPECT_EQ(kind.plugin, "good");
  auto config = ConfigNode::make_mapping();
  config.add("factor", ConfigNode::make_scalar("0.25"));
  EXPECT_EQ(kind.create(config, {})->factor(7), 0.25);
}

TEST_F(PluginHostTest, OpensAPluginOnceHoweverItIsNamed) {
  fs::create_symlink(kPlugins / "good.so", folder_ / "link.so");
  auto opener = host();
  const auto* first = &opener.open("good");
  EXPECT_EQ(&opener.open("good"), first);
  EXPECT_EQ(&opener.open((kPlugins / "good.so").string()), first);
  EXPECT_EQ(&opener.open((folder_ / "link.so").string()), first);
  EXPECT_THAT(opener.opened(), SizeIs(1));
  EXPECT_THAT(registry_.learning_rate_schedules.kinds(), SizeIs(1));
}

TEST_F(PluginHostTest, RemembersByContentThatAFileWasTried) {
  auto counting = trial();
  counting.cache_dir = folder_ / "cache";
  const auto log = (folder_ / "log").string();
  write("try.sh", "#!/bin/sh\necho tried >> " + log + "\nexec " + TRIGA_OPEN_PLUGIN + " \"$1\"\n");
  ::chmod((folder_ / "try.sh").c_str(), 0755);
  counting.command = {(folder_ / "try.sh").string()};
  const auto open = [&](const std::string& path) {
    Registry registry;
    PluginHost(registry, PluginSearchPath({}), counting).open(path);
    return read_text(log);
  };
  const auto good = (kPlugins / "good.so").string();
  EXPECT_EQ(open(good), "tried\n");
  EXPECT_EQ(open(good), "tried\n");
  fs::copy_file(good, folder_ / "copy.so");
  EXPECT_EQ(open((folder_ / "copy.so").string()), "tried\n") << "same content elsewhere";
  EXPECT_EQ(open(write("longer.so", read_text(good) + "x")), "tried\ntried\n") << "other content";
  fs::remove_all(counting.cache_dir);
  EXPECT_EQ(open(good), "tried\ntried\ntried\n") << "the cache is only a cache";
  const auto remembered = fs::directory_iterator(counting.cache_dir / "plugins")->path();
  EXPECT_THAT(remembered.filename().string(), HasSubstr("-libtorch-" TORCH_VERSION));
  fs::rename(remembered, remembered.string() + "9");
  EXPECT_EQ(open(good), "tried\ntried\ntried\ntried\n") << "by another version";
  counting.cache_dir.clear();
  open(good);
  EXPECT_EQ(open(good), "tried\ntried\ntried\ntried\ntried\ntried\n") << "nothing remembers";
}

TEST_F(PluginHostTest, APluginIsOpenedWithoutACacheToWriteTo) {
  auto uncached = trial();
  uncached.cache_dir = write("file", "not a folder");
  PluginHost opener(registry_, PluginSearchPath({kPlugins}), uncached);
  EXPECT_EQ(opener.open("good").name, "good");
}

TEST_F(PluginHostTest, AStampOfAnotherBuildIsRefusedInItsOwnWords) {
  EXPECT_THAT(refusal(patched("abi=4\nlibtorch", "abi=0\nlibtorch")),
              HasSubstr("plugin interface 0"));
  EXPECT_THAT(refusal(patched("libtorch=" TORCH_VERSION, "libtorch=2.10.3")),
              HasSubstr("LibTorch 2.10.3"));
  EXPECT_THAT(refusal(patched("cxx11_abi=1", "cxx11_abi=0")), HasSubstr("std::string"));
  EXPECT_THAT(refusal(patched("=202002L", "=201703L")), HasSubstr("C++17"));
  EXPECT_THAT(refusal(patched("libtorch=", "libtrosh=")), HasSubstr("does not say libtorch"));
}

TEST_F(PluginHostTest, NoCodeOfAMismatchedPluginRuns) {
  auto bytes = read_text(kPlugins / "static_abort.so");
  const std::string from = "abi=4\nlib";
  bytes.replace(bytes.find(from), from.size(), "abi=7\nlib");
  EXPECT_THAT(refusal(write("aborts.so", bytes)),
              AllOf(HasSubstr("plugin interface 7"), Not(HasSubstr("signal"))));
}

TEST_F(PluginHostTest, WhatIsNoLibraryIsRefusedInItsOwnWords) {
  const auto good = read_text(kPlugins / "good.so");
  const auto path = write("x.so", "just text\n");
  EXPECT_THAT(refusal(path), AllOf(StartsWith(path + " can not be opened as a plugin: "),
                                   HasSubstr("not a shared library")));
  EXPECT_THAT(refusal(write("x.so", "")), HasSubstr("empty"));
  EXPECT_THAT(refusal(write("x.so", good.substr(0, good.size() / 2))), HasSubstr("cut short"));
  EXPECT_THAT(refusal(folder_.string()), HasSubstr("a folder"));
  EXPECT_THAT(refusal((folder_ / "nothing.so").string()), HasSubstr("No such file"));
  ASSERT_EQ(::mkfifo((folder_ / "pipe.so").c_str(), 0600), 0);
  EXPECT_THAT(refusal((folder_ / "pipe.so").string()), HasSubstr("not a file"));
  fs::create_symlink("loop.so", folder_ / "loop.so");
  EXPECT_THAT(refusal((folder_ / "loop.so").string()), HasSubstr("symbolic links"));
}

TEST_F(PluginHostTest, AFileThatMayNotBeReadIsRefused) {
  if (::geteuid() == 0) {  // root may read everything, so the test goes on as somebody else
    ASSERT_EQ(::chmod(folder_.c_str(), 0711), 0);
    const auto path = write("secret.so", read_text(kPlugins / "good.so"));
    ASSERT_EQ(::chmod(path.c_str(), 0600), 0);
    ASSERT_EQ(::seteuid(65534), 0);
    const auto words = refusal(path);
    ASSERT_EQ(::seteuid(0), 0);
    EXPECT_THAT(words, HasSubstr("Permission denied"));
  } else {
    const auto path = write("secret.so", read_text(kPlugins / "good.so"));
    ASSERT_EQ(::chmod(path.c_str(), 0), 0);
    EXPECT_THAT(refusal(path), HasSubstr("Permission denied"));
  }
}

TEST_F(PluginHostTest, WhatIsNoPluginIsRefused) {
  EXPECT_THAT(refusal("no_stamp"), HasSubstr("not a plugin of Triga"));
  EXPECT_THAT(refusal("no_descriptor"), HasSubstr("exports no symbol `triga_plugin`"));
  EXPECT_THAT(refusal("bad_name"), HasSubstr("descriptor is damaged, or its name"));
}

TEST_F(PluginHostTest, MissingLibrariesAndFunctionsAreNamed) {
  EXPECT_THAT(refusal("needs_vanished"),
              AllOf(HasSubstr("needs the library libvanished.so"), HasSubstr("LD_LIBRARY_PATH")));
  EXPECT_THAT(refusal("needs_function"),
              HasSubstr("it needs triga::function_of_another_version(long)"));
}

TEST_F(PluginHostTest, WhatThrowsAtRegistrationIsRefusedInWhole) {
  EXPECT_THAT(refusal("throws_at_registration"), HasSubstr("no licence for the still schedule"));
  EXPECT_THAT(refusal("throws_a_number"), HasSubstr("not a std::exception"));
  EXPECT_THAT(refusal("registers_twice"), HasSubstr("registers 'still' twice"));
}

TEST_F(PluginHostTest, AStaticInitialiserEndsOnlyTheChild) {
  EXPECT_THAT(refusal("static_throw"),
              AllOf(HasSubstr("signal 6"), HasSubstr("thrown by a static initialiser")));
  EXPECT_THAT(refusal("static_abort"), HasSubstr("signal 6"));
  EXPECT_THAT(refusal("static_exit"), AllOf(HasSubstr("with status 0"), HasSubstr("calls exit()")));
}

TEST_F(PluginHostTest, AStaticInitialiserThatHangsIsEndedInTime) {
  auto impatient = trial();
  impatient.time_limit = std::chrono::milliseconds(1500);
  PluginHost opener(registry_, PluginSearchPath({kPlugins}), impatient);
  const auto start = std::chrono::steady_clock::now();
  try {
    opener.open("static_hang");
    FAIL() << "opened";
  } catch (const PluginError& error) {
    EXPECT_THAT(error.what(), AllOf(HasSubstr("within 1.5 s"), HasSubstr("hangs")));
  }
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(10));
}

TEST_F(PluginHostTest, ACommandThatCanNotRunIsNamed) {
  auto wrong = trial();
  wrong.cache_dir = folder_;
  wrong.command = {"/nowhere/triga", "__open-plugin"};
  PluginHost opener(registry_, PluginSearchPath({kPlugins}), wrong);
  EXPECT_THAT([&] { opener.open("good"); },
              ::testing::ThrowsMessage<PluginError>(HasSubstr("/nowhere/triga")));
}

TEST_F(PluginHostTest, AnUnknownPluginGetsTheNearestNameAndWhatWasSearched) {
  auto opener = host({kPlugins, folder_, folder_ / "missing"});
  try {
    opener.open("godo");
    FAIL() << "opened";
  } catch (const PluginError& error) {
    const std::string text = error.what();
    EXPECT_THAT(text, HasSubstr("there is no plugin 'godo'; did you mean good?"));
    EXPECT_THAT(text,
                HasSubstr(kPlugins.string() + ": bad_name, crashes_at_use, deaf_to_groups, "));
    EXPECT_THAT(text, HasSubstr(folder_.string() + ": no plugins"));
    EXPECT_THAT(text, HasSubstr("missing: no such folder"));
    EXPECT_THAT(text, HasSubstr("The folder that has godo.so can be added: export "
                                "TRIGA_PLUGIN_PATH=FOLDER"));
  }
}

TEST_F(PluginHostTest, TwoFilesOfOneNameAreRefusedWithBothPaths) {
  auto opener = host({kPlugins, kPlugins / "elsewhere"});
  const auto both = AllOf(HasSubstr((kPlugins / "good.so").string()),
                          HasSubstr((kPlugins / "elsewhere/good.so").string()));
  EXPECT_THAT([&] { opener.open("good"); }, ::testing::ThrowsMessage<PluginError>(both));
  EXPECT_EQ(opener.open((kPlugins / "elsewhere/good.so").string()).version, "9.9.9");
  EXPECT_THAT([&] { opener.open((kPlugins / "good.so").string()); },
              ::testing::ThrowsMessage<PluginError>(both));
  EXPECT_THAT(registry_.learning_rate_schedules.kinds(), SizeIs(1));
}

TEST_F(PluginHostTest, OneFileFoundTwiceIsNoConflict) {
  fs::create_symlink(kPlugins / "good.so", folder_ / "good.so");
  EXPECT_EQ(host({kPlugins, folder_, kPlugins}).open("good").name, "good");
}

TEST_F(PluginHostTest, AFileIsNamedAsItsPlugin) {
  EXPECT_THAT(refusal("misnamed"), HasSubstr("rename the file to properly_named.so"));
  EXPECT_EQ(host().open((kPlugins / "misnamed.so").string()).name, "properly_named");
}

TEST_F(PluginHostTest, WhatAFactoryThrowsCarriesThePluginsName) {
  host().open("throws_at_use");
  const auto& kind = registry_.learning_rate_schedules.kinds()[0];
  EXPECT_THAT([&] { kind.create(ConfigNode::make_mapping(), {}); },
              ::testing::ThrowsMessage<Error>("plugin 'throws_at_use': out of ideas"));
}

TEST(InPlugin, KeepsTheSortOfErrorAndNamesThePluginOnce) {
  const auto thrown = [](const auto& error) {
    in_plugin("p", [&] { in_plugin("p", [&] { throw error; }); });
  };
  EXPECT_THAT([&] { thrown(DataError("bad row")); },
              ::testing::ThrowsMessage<DataError>("plugin 'p': bad row"));
  EXPECT_THAT([&] { thrown(CheckpointError("c")); },
              ::testing::ThrowsMessage<CheckpointError>("plugin 'p': c"));
  EXPECT_THAT([&] { thrown(CommError("rank 1 died")); },
              ::testing::ThrowsMessage<CommError>("rank 1 died"));
  EXPECT_THAT([&] { thrown(DivergedError("c")); },
              ::testing::ThrowsMessage<DivergedError>("plugin 'p': c"));
  EXPECT_THAT([&] { thrown(PluginError("c")); },
              ::testing::ThrowsMessage<PluginError>("plugin 'p': c"));
  EXPECT_THAT([&] { thrown(ConfigError("a.yaml:3: x")); },
              ::testing::ThrowsMessage<ConfigError>("a.yaml:3: x"));
  EXPECT_THAT([&] { thrown(std::bad_alloc()); }, ::testing::Throws<OutOfMemoryError>());
  EXPECT_THAT([&] { thrown(7); },
              ::testing::ThrowsMessage<Error>(HasSubstr("plugin 'p': threw something")));
  EXPECT_THAT([&] { in_plugin("p", [] { TORCH_CHECK(false, "sizes differ"); }); },
              ::testing::ThrowsMessage<Error>(
                  AllOf(StartsWith("plugin 'p': sizes differ"), Not(HasSubstr("frame #")))));
  EXPECT_THAT([] { in_plugin("", [] { throw DataError("no file"); }); },
              ::testing::ThrowsMessage<DataError>("no file"));  // the core's
  EXPECT_EQ(in_plugin("p", [] { return 3; }), 3);
}

TEST_F(PluginHostTest, AnUnknownKindGetsTheNearestNameAndWhoElseHasIt) {
  host().open("good");
  auto node = ConfigNode::make_scalar("stil");
  node.file = "a.yaml";
  node.line = 12;
  node.path = "learning_rate_schedule.kind";
  const auto find = [&](const std::string& plugin) {
    return find_kind(registry_.learning_rate_schedules, "learning-rate schedule", plugin, node)
        .name;
  };
  EXPECT_THAT([&] { find("good"); },
              ::testing::ThrowsMessage<ConfigError>(
                  AllOf(StartsWith("a.yaml:12: learning_rate_schedule.kind: "),
                        HasSubstr("plugin 'good' has no such learning-rate schedule"),
                        EndsWith("did you mean still?"))));
  node.scalar = "still";
  EXPECT_EQ(find("good"), "still");
  EXPECT_THAT([&] { find(""); },
              ::testing::ThrowsMessage<ConfigError>(HasSubstr("`plugin: good`")));
}

}  // namespace
}  // namespace triga
