#include "launchers/host_list.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/message_of.h"
#include "tests/support/temporary_folder.h"
#include "triga/error.h"

namespace triga {
namespace {

using test::message_of;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(HostList, OfWords) {
  EXPECT_THAT(parse_hosts({"node1", "node-2.example.org", "10.0.0.3"}),
              ElementsAre(Host{"node1", 0}, Host{"node-2.example.org", 0}, Host{"10.0.0.3", 0}));
  EXPECT_THAT(parse_hosts({"a:2", "b:16"}), ElementsAre(Host{"a", 2}, Host{"b", 16}));
}

TEST(HostList, RefusesWhatIsNoHost) {
  for (const char* word :
       {"", ":2", "a:", "a:0", "a:-1", "a:x", "a:2:3", "::1", "-x", "a b", "a=2"})
    EXPECT_THAT(message_of<ConfigError>([&] { parse_hosts({word}); }), HasSubstr("is not a host"))
        << word;
  EXPECT_THAT(message_of<ConfigError>([] {
                parse_hosts({"a", "b", "a"});
              }),
              HasSubstr("--hosts: host a is named twice; for several ranks: a:2"));
  EXPECT_THAT(message_of<ConfigError>([] {
                parse_hosts({"a:2", "b"});
              }),
              HasSubstr("said for some hosts and not for b"));
}

TEST(HostList, OfAFile) {
  const test::TemporaryFolder folder;
  const auto read = [&](const std::string& text) {
    return read_host_file(posix_files(), folder.write("hosts", text));
  };
  EXPECT_THAT(read("# the fast ones\nnode1 slots=4\n\nnode2 slots=2 # shared\n"),
              ElementsAre(Host{"node1", 4}, Host{"node2", 2}));
  EXPECT_THAT(read("a:2\nb:2"), ElementsAre(Host{"a", 2}, Host{"b", 2}));
  EXPECT_THAT(read("a\nb\n"), ElementsAre(Host{"a", 0}, Host{"b", 0}));
  EXPECT_THAT(message_of<ConfigError>([&] { read("a slots=2\nb max_slots=3\n"); }),
              HasSubstr("hosts:2: 'max_slots=3'; a line is HOST, HOST slots=N or HOST:N"));
  EXPECT_THAT(message_of<ConfigError>([&] { read("# nothing\n"); }), HasSubstr("names no host"));
  EXPECT_THAT(
      message_of<ConfigError>([&] { read_host_file(posix_files(), folder.path() / "none"); }),
      HasSubstr("--hostfile: "));
}

}  // namespace
}  // namespace triga
