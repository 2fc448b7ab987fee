#include "metrics/prometheus.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <limits>
#include <memory>
#include <set>
#include <sstream>
#include <thread>

#include "base/log_outputs.h"
#include "tests/support/captured_terminal.h"
#include "tests/support/message_of.h"
#include "triga/error.h"

namespace triga {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::StartsWith;

/// A connection to a port of this host.
class Client {
 public:
  explicit Client(int port) : socket_(socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(static_cast<uint16_t>(port));
    TRIGA_CHECK(connect(socket_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0,
                "nobody listens on port ", port);
  }
  ~Client() { close(socket_); }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  void say(std::string_view text) const { send(socket_, text.data(), text.size(), MSG_NOSIGNAL); }
  std::string answer() const {
    std::string all;
    char piece[512];
    for (ssize_t n; (n = recv(socket_, piece, sizeof piece, 0)) > 0;)
      all.append(piece, static_cast<size_t>(n));
    return all;
  }

 private:
  int socket_;
};

std::string ask(int port, const std::string& path) {
  const Client client(port);
  client.say("GET " + path + " HTTP/1.1\r\nHost: localhost\r\n\r\n");
  return client.answer();
}

TEST(PrometheusSink, ServesTheNewestOfEachMetricUnderItsTypeOnce) {
  PrometheusSink sink(0, "a \"run\"");
  sink.record({.step = 1, .split = "", .values = {{"loss", 3.0}}});
  sink.record({.step = 2,
               .split = "",
               .values = {{"loss", 2.5}, {"grad_norm", std::numeric_limits<double>::infinity()}}});
  sink.record({.step = 2,
               .split = "validation",
               .values = {{"loss", 2.25}, {"top-5", std::numeric_limits<double>::quiet_NaN()}}});
  sink.record({.step = 2, .split = "gradients", .values = {{"h.0.first", 1.0}}});
  sink.step_done(2);
  sink.record_saves({.last_saved_step = 1, .num_failed = 3});
  const std::string expected =
      "# HELP triga_step Optimizer steps done.\n# TYPE triga_step gauge\n"
      "triga_step{run=\"a \\\"run\\\"\"} 2\n"
      "# HELP triga_last_saved_step Step of the newest checkpoint; 0: there is none.\n"
      "# TYPE triga_last_saved_step gauge\n"
      "triga_last_saved_step{run=\"a \\\"run\\\"\"} 1\n"
      "# HELP triga_failed_saves Saves that failed since the run started or went back.\n"
      "# TYPE triga_failed_saves gauge\n"
      "triga_failed_saves{run=\"a \\\"run\\\"\"} 3\n"
      "# HELP triga_grad_norm The newest value of the run.\n# TYPE triga_grad_norm gauge\n"
      "triga_grad_norm{run=\"a \\\"run\\\"\",split=\"train\"} +Inf\n"
      "# HELP triga_loss The newest value of the run.\n# TYPE triga_loss gauge\n"
      "triga_loss{run=\"a \\\"run\\\"\",split=\"train\"} 2.5\n"
      "triga_loss{run=\"a \\\"run\\\"\",split=\"validation\"} 2.25\n"
      "# HELP triga_top_5 The newest value of the run.\n# TYPE triga_top_5 gauge\n"
      "triga_top_5{run=\"a \\\"run\\\"\",split=\"validation\"} NaN\n";
  EXPECT_EQ(sink.text(), expected);
  const std::string answer = ask(sink.port(), "/metrics");
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_THAT(answer, HasSubstr("Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n"));
  EXPECT_THAT(answer, HasSubstr(c10::str("Content-Length: ", expected.size(), "\r\n")));
  EXPECT_THAT(answer, EndsWith("\r\n\r\n" + expected));
}

TEST(PrometheusSink, ServesEveryNameOnceAndKeepsItsOwn) {
  test::CapturedTerminal captured(/*is_interactive=*/false);
  const LogOutputs outputs({.terminal = &captured.terminal()});
  PrometheusSink sink(0, "run");
  for (const double value : {0.5, 0.75})
    sink.record({.step = 1,
                 .split = "",
                 .values = {{"step", value},
                            {"last_saved_step", value},
                            {"failed_saves", value},
                            {"top-5", value},
                            {"top_5", value + 1},
                            {"top.5", value + 2},
                            {"top_5_2", value + 3}}});
  const std::string text = sink.text();
  EXPECT_THAT(text, HasSubstr("\ntriga_step{run=\"run\"} 0\n"));
  for (const char* line : {"triga_step_2{run=\"run\",split=\"train\"} 0.75",
                           "triga_last_saved_step_2{run=\"run\",split=\"train\"} 0.75",
                           "triga_failed_saves_2{run=\"run\",split=\"train\"} 0.75",
                           "triga_top_5{run=\"run\",split=\"train\"} 0.75",
                           "triga_top_5_2{run=\"run\",split=\"train\"} 1.75",
                           "triga_top_5_3{run=\"run\",split=\"train\"} 2.75",
                           "triga_top_5_2_2{run=\"run\",split=\"train\"} 3.75"})
    EXPECT_THAT(text, HasSubstr(c10::str("\n", line, "\n")));
  std::istringstream lines(text);
  std::set<std::string> types;
  for (std::string line; std::getline(lines, line);)
    if (line.starts_with("# TYPE ")) {
      EXPECT_TRUE(types.insert(line).second) << line << " twice: all is refused";
    }
  EXPECT_EQ(types.size(), 10U);
  EXPECT_THAT(captured.take(),
              HasSubstr("[metrics] 'top_5' is served as triga_top_5_2: triga_top_5 is another"));
}

TEST(PrometheusSink, AnswersNothingElse) {
  const PrometheusSink sink(0, "run");
  EXPECT_THAT(ask(sink.port(), "/"), StartsWith("HTTP/1.1 404 Not Found\r\n"));
  EXPECT_THAT(ask(sink.port(), "/metrics.txt"), StartsWith("HTTP/1.1 404 Not Found\r\n"));
}

TEST(PrometheusSink, OutlivesClientsThatSayNothingOrTooMuch) {
  const PrometheusSink sink(0, "run");
  const Client silent(sink.port());
  {
    const Client talkative(sink.port());
    talkative.say(std::string(20000, 'x'));
  }
  EXPECT_THAT(ask(sink.port(), "/metrics"), HasSubstr("triga_step{run=\"run\"} 0\n"));
}

TEST(PrometheusSink, EndsWhileAClientSaysOneByteAtATime) {
  auto sink = std::make_unique<PrometheusSink>(0, "run");
  std::atomic<bool> has_ended = false;
  std::thread slow([&has_ended, client = std::make_unique<Client>(sink->port())] {
    for (int i = 0; i < 40 && !has_ended; ++i) {  // 6 s at most
      client->say("x");
      std::this_thread::sleep_for(std::chrono::milliseconds(150));
    }
  });
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  const auto start = std::chrono::steady_clock::now();
  sink.reset();
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(2));
  has_ended = true;
  slow.join();
}

TEST(PrometheusSink, SaysThatAPortIsTaken) {
  const PrometheusSink sink(0, "run");
  EXPECT_THAT(
      test::message_of<Error>([&] { PrometheusSink second(sink.port(), "other"); }),
      HasSubstr(c10::str("cannot serve on port ", sink.port(), ": Address already in use")));
}

}  // namespace
}  // namespace triga
