#include "base/terminal.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <pty.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <thread>

#include "tests/support/captured_terminal.h"

namespace triga {
namespace {

using test::CapturedTerminal;

TEST(Terminal, RedrawsTheBarBelowTheLines) {
  CapturedTerminal captured(/*is_interactive=*/true);
  Terminal& terminal = captured.terminal();
  terminal.show_bar("10 %");
  EXPECT_EQ(captured.take(), "\r\x1b[K10 %");
  terminal.print_line("a line");
  EXPECT_EQ(captured.take(), "\r\x1b[Ka line\n10 %");
  terminal.show_bar("20 %");
  EXPECT_EQ(captured.take(), "\r\x1b[K20 %");
  terminal.keep_bar();
  EXPECT_EQ(captured.take(), "\n");
  terminal.print_line("two\nlines\n");
  EXPECT_EQ(captured.take(), "two\nlines\n");
}

TEST(Terminal, ShowsNoBarWhenItIsNotInteractive) {
  CapturedTerminal captured(/*is_interactive=*/false);
  captured.terminal().show_bar("10 %");
  captured.terminal().print_line("a line");
  captured.terminal().keep_bar();
  EXPECT_EQ(captured.take(), "a line\n");
}

TEST(Terminal, TakesTheBarAwayBeforePiecesOfText) {
  CapturedTerminal captured(/*is_interactive=*/true);
  captured.terminal().show_bar("10 %");
  captured.terminal().print("Once ");
  captured.terminal().print("upon");
  EXPECT_EQ(captured.take(), "\r\x1b[K10 %\r\x1b[KOnce upon");
}

TEST(Terminal, LeavesTheBarAsALineAtItsEnd) {
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  {
    Terminal terminal({.descriptor = ends[1], .is_interactive = true});
    terminal.show_bar("x");
  }
  close(ends[1]);
  char text[32] = {};
  EXPECT_EQ(read(ends[0], text, sizeof text), 6);
  EXPECT_STREQ(text, "\r\x1b[Kx\n");
  close(ends[0]);
}

TEST(Terminal, DoesNotHoldUpTheEndWhereAnotherThreadStandsInAWrite) {
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  auto terminal =
      std::make_unique<Terminal>(TerminalOptions{.descriptor = ends[1], .is_interactive = true});
  terminal->show_bar("10 %");
  std::thread writer([&] { terminal->print_line(std::string(1 << 20, 'x')); });  // nobody reads
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  const auto start = std::chrono::steady_clock::now();
  std::atomic<bool> is_kept = false;
  std::thread reader([&] {  // lets the writer go, so that the test ends with the wrong code too
    for (int i = 0; i < 300 && !is_kept; ++i)
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    char piece[4096];
    while (read(ends[0], piece, sizeof piece) > 0) {
    }
  });
  terminal->keep_bar();
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(2));
  is_kept = true;
  writer.join();
  terminal.reset();
  close(ends[1]);
  reader.join();
  close(ends[0]);
}

TEST(Terminal, AsksForTheNumberOfColumns) {
  CapturedTerminal file(/*is_interactive=*/true);
  EXPECT_EQ(file.terminal().columns(), 80);
  int master, slave;
  winsize size{.ws_row = 24, .ws_col = 123, .ws_xpixel = 0, .ws_ypixel = 0};
  ASSERT_EQ(openpty(&master, &slave, nullptr, nullptr, &size), 0);
  EXPECT_EQ(Terminal({.descriptor = slave, .is_interactive = true}).columns(), 123);
  close(slave);
  close(master);
}

TEST(Terminal, LosesWhatNobodyReads) {
  const int full = open("/dev/full", O_WRONLY);
  Terminal terminal({.descriptor = full});
  terminal.print_line("lost");
  close(full);
}

}  // namespace
}  // namespace triga
