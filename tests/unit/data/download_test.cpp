#include "data/download.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <unistd.h>

#include <csignal>

#include "data/sha256.h"
#include "tests/support/http_server.h"
#include "tests/support/message_of.h"
#include "tests/support/temporary_folder.h"

namespace triga {
namespace {

using test::HttpAnswer;
using test::HttpServer;
using test::message_of;
using test::TemporaryFolder;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string content(const std::string& path) {
  return read_text(posix_files(), path);
}

/// 300,000 bytes that differ everywhere, and where they should go.
class Download : public ::testing::Test {
 protected:
  Download() {
    for (int i = 0; body_.size() < 300000; ++i) body_ += std::to_string(i) + " ";
    const auto copy = folder_.write("copy", body_);
    file_.size = static_cast<int64_t>(body_.size());
    file_.sha256 = sha256_of_file(posix_files(), copy);
    options_.retry_seconds = 0.001;
  }
  void fetch(const HttpServer& server, const std::string& path = "/a/file.txt") {
    file_.url = server.url(path);
    download(file_, target_, options_);
  }
  std::string failure(const HttpServer& server) {
    return message_of<DataError>([&] { fetch(server); });
  }

  TemporaryFolder folder_;
  const std::string target_ = folder_ / "set/file.txt", part_ = target_ + ".part";
  std::string body_;
  RemoteFile file_;
  DownloadOptions options_;
};

TEST(Sha256, GivesTheDigestsOfFips180) {
  const TemporaryFolder folder;
  const auto digest = [&](const std::string& text) {
    return sha256_of_file(posix_files(), folder.write("f", text));
  };
  EXPECT_EQ(digest(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(digest("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(digest(std::string(1000000, 'a')),
            "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST_F(Download, FetchesAFileAndLeavesNothingElse) {
  const HttpServer server([&](const std::string& path) {
    return HttpAnswer{.body = path == "/a/file.txt" ? body_ : ""};
  });
  std::vector<int64_t> progress;
  options_.progress = [&](int64_t bytes) { progress.push_back(bytes); };
  fetch(server);
  EXPECT_EQ(content(target_), body_);
  EXPECT_FALSE(std::filesystem::exists(part_));
  EXPECT_TRUE(std::is_sorted(progress.begin(), progress.end()));
  EXPECT_EQ(progress.back(), file_.size);
  fetch(server);  // it is there
  EXPECT_EQ(server.offsets().size(), 1u);
}

TEST_F(Download, FollowsRedirects) {
  const HttpServer server([&](const std::string& path) {
    if (path == "/a/file.txt") return HttpAnswer{.status = 302, .location = "/elsewhere"};
    return HttpAnswer{.body = body_};
  });
  fetch(server);
  EXPECT_EQ(content(target_), body_);
}

TEST_F(Download, GoesOnWhereAnEarlierCallStopped) {
  folder_.write("set/file.txt.part", body_.substr(0, 100000));
  const HttpServer server([&](const std::string&) { return HttpAnswer{.body = body_}; });
  fetch(server);
  EXPECT_EQ(content(target_), body_);
  EXPECT_THAT(server.offsets(), ElementsAre(100000));
}

TEST_F(Download, GoesOnWhenTheConnectionBreaksAgainAndAgain) {
  const HttpServer server(
      [&](const std::string&) { return HttpAnswer{.body = body_, .cut_after = 30000}; });
  fetch(server);  // 11 times, each brings something
  EXPECT_EQ(content(target_), body_);
  EXPECT_GE(server.offsets().size(), 11u);
}

TEST_F(Download, StartsAnewWhenTheServerKnowsNoRanges) {
  folder_.write("set/file.txt.part", body_.substr(0, 100000));
  const HttpServer server(
      [&](const std::string&) { return HttpAnswer{.body = body_, .knows_ranges = false}; });
  fetch(server);
  EXPECT_EQ(content(target_), body_);
  EXPECT_THAT(server.offsets(), ElementsAre(100000, 0));
}

TEST_F(Download, GivesUpWhenEveryNewStartBreaksAtTheSamePlace) {
  const HttpServer server([&](const std::string&) {
    return HttpAnswer{.body = body_, .knows_ranges = false, .cut_after = 30000};
  });
  EXPECT_THAT(failure(server), HasSubstr("(tried 4 times)"));
}

TEST_F(Download, StartsAnewWhenWhatWasThereIsOfAnotherFile) {
  const HttpServer server([&](const std::string&) { return HttpAnswer{.body = body_}; });
  folder_.write("set/file.txt.part", std::string(1000, '?'));
  fetch(server);
  EXPECT_EQ(content(target_), body_);
  EXPECT_THAT(server.offsets(), ElementsAre(1000, 0));

  std::filesystem::remove(target_);
  folder_.write("set/file.txt.part", std::string(body_.size() + 1, '?'));
  fetch(server);
  EXPECT_EQ(content(target_), body_);
}

TEST_F(Download, TriesAgainAfterAServersError) {
  int num_requests = 0;
  const HttpServer server([&](const std::string&) {
    return ++num_requests < 4 ? HttpAnswer{.status = 503} : HttpAnswer{.body = body_};
  });
  fetch(server);
  EXPECT_EQ(content(target_), body_);
}

TEST_F(Download, GivesUpInWordsAndKeepsWhatHasArrived) {
  bool is_broken = false;
  const HttpServer server([&](const std::string&) {
    if (is_broken) return HttpAnswer{.status = 500};
    is_broken = true;
    return HttpAnswer{.body = body_, .cut_after = 1000};
  });
  EXPECT_THAT(failure(server), AllOf(HasSubstr(server.url("/a/file.txt") +
                                               ": the server answers with HTTP status 500"),
                                     HasSubstr("(tried 4 times)"), HasSubstr("1000 of 3")));
  EXPECT_EQ(content(part_), body_.substr(0, 1000));
  EXPECT_FALSE(std::filesystem::exists(target_));
}

TEST_F(Download, SaysAtOnceThatAFileIsNotThere) {
  const HttpServer server([&](const std::string&) { return HttpAnswer{.status = 404}; });
  EXPECT_THAT(failure(server), HasSubstr("HTTP status 404: there is no such file (any more)"));
  EXPECT_EQ(server.offsets().size(), 1u);
}

TEST_F(Download, RefusesOtherContent) {
  std::string other = body_;
  other[1000] ^= 1;
  const HttpServer server([&](const std::string&) { return HttpAnswer{.body = other}; });
  EXPECT_THAT(failure(server),
              AllOf(HasSubstr("its SHA-256 is "), HasSubstr("the catalogue says " + file_.sha256)));
  EXPECT_FALSE(std::filesystem::exists(target_));
  EXPECT_EQ(content(part_), "");

  other = body_ + "more";
  EXPECT_THAT(failure(server), HasSubstr("gives more than the "));
  other = body_.substr(0, 1000);
  EXPECT_THAT(failure(server), HasSubstr("the file ends too early"));
}

TEST_F(Download, SaysThatAMachineIsOffline) {
  file_.url = "http://nowhere.invalid/file.txt";
  EXPECT_THAT(message_of<DataError>([&] { download(file_, target_, options_); }),
              AllOf(HasSubstr("nowhere.invalid"), HasSubstr("Is this machine offline?"),
                    HasSubstr("TRIGA_DATA_MIRROR")));
  std::string url;
  {
    const HttpServer gone([](const std::string&) { return HttpAnswer{}; });
    url = gone.url("/file.txt");
  }
  file_.url = url;
  EXPECT_THAT(message_of<DataError>([&] { download(file_, target_, options_); }),
              HasSubstr("(tried 4 times)"));
}

TEST_F(Download, GivesUpWhenNothingArrives) {
  options_.stall_seconds = 1;
  options_.max_attempts = 1;
  // Nobody accepts: the connection stands, and no byte comes.
  const int listener = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  ASSERT_EQ(bind(listener, reinterpret_cast<sockaddr*>(&address), size), 0);
  ASSERT_EQ(listen(listener, 1), 0);
  ASSERT_EQ(getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size), 0);
  file_.url = c10::str("http://127.0.0.1:", ntohs(address.sin_port), "/file.txt");
  EXPECT_THAT(message_of<DataError>([&] { download(file_, target_, options_); }),
              HasSubstr("too slow"));
  close(listener);
}

TEST_F(Download, NeverReplacesAFileThatIsThere) {
  const HttpServer server([&](const std::string&) { return HttpAnswer{.body = body_}; });
  folder_.write("set/file.txt", "my own");
  EXPECT_THAT(failure(server), HasSubstr(target_ + ": is there, and is not the file of"));
  EXPECT_EQ(content(target_), "my own");
}

TEST_F(Download, LetsOneProcessFetchAFileAtATime) {
  const HttpServer server([&](const std::string&) { return HttpAnswer{.body = body_}; });
  folder_.write("set/file.txt.part", "");
  const int other = open(part_.c_str(), O_RDWR);
  ASSERT_EQ(flock(other, LOCK_EX), 0);
  EXPECT_THAT(failure(server), HasSubstr("another process is fetching this file"));
  close(other);
  fetch(server);
}

TEST_F(Download, SaysThatTheDiskIsFullAndKeepsWhatFits) {
  const HttpServer server([&](const std::string&) { return HttpAnswer{.body = body_}; });
  rlimit before;
  getrlimit(RLIMIT_FSIZE, &before);
  const rlimit small{.rlim_cur = 100000, .rlim_max = before.rlim_max};
  const auto old = std::signal(SIGXFSZ, SIG_IGN);
  setrlimit(RLIMIT_FSIZE, &small);
  const std::string said = failure(server);
  setrlimit(RLIMIT_FSIZE, &before);
  std::signal(SIGXFSZ, old);
  EXPECT_THAT(said, AllOf(HasSubstr("cannot write " + part_), HasSubstr("File too large")));
  fetch(server);
  EXPECT_EQ(content(target_), body_);
  EXPECT_THAT(server.offsets(), ElementsAre(0, 100000));
}

TEST_F(Download, TakesAFileFromTheMirrorInsteadOfTheNetwork) {
  options_.mirror = folder_ / "mirror";
  file_.url = "https://nowhere.invalid/a/b/file.txt";
  EXPECT_THAT(message_of<DataError>([&] { download(file_, target_, options_); }),
              HasSubstr(folder_ / "mirror/nowhere.invalid/a/b/file.txt: not in the mirror"));
  folder_.write("mirror/nowhere.invalid/a/b/file.txt", body_);
  download(file_, target_, options_);
  EXPECT_EQ(content(target_), body_);

  std::filesystem::remove(target_);
  folder_.write("mirror/nowhere.invalid/a/b/file.txt", body_ + "?");
  EXPECT_THAT(message_of<DataError>([&] { download(file_, target_, options_); }),
              AllOf(HasSubstr("mirror/nowhere.invalid/a/b/file.txt: its SHA-256 is"),
                    HasSubstr(file_.sha256)));
  EXPECT_FALSE(std::filesystem::exists(target_));
}

}  // namespace
}  // namespace triga
