// That TensorBoard's own reader reads these files is tested in tests/parity.
#include "metrics/tensorboard.h"

#include <gmock/gmock.h>

#include "base/files.h"
#include "metrics/crc32c.h"
#include "tests/support/temporary_folder.h"

namespace triga {
namespace {

using test::TemporaryFolder;

std::string hex(const std::string& bytes) {
  std::string text;
  for (const char byte : bytes) {
    constexpr const char* kDigits = "0123456789abcdef";
    text += kDigits[static_cast<unsigned char>(byte) >> 4];
    text += kDigits[byte & 15];
  }
  return text;
}

TEST(Crc32c, GivesTheValuesOfRfc3720) {
  EXPECT_EQ(crc32c("123456789"), 0xE3069283u);
  EXPECT_EQ(crc32c(std::string(32, '\0')), 0x8A9136AAu);
  EXPECT_EQ(crc32c(std::string(32, '\xFF')), 0x62A8AB43u);
  EXPECT_EQ(crc32c(""), 0u);
}

TEST(TensorBoardSink, WritesTheBytesThatTensorBoardsOwnWriterWrites) {
  const TemporaryFolder folder;
  TensorBoardSink(folder / "tensorboard", 0, [] { return 1600000000.0; });  // of an earlier start
  TensorBoardSink sink(folder / "tensorboard", /*last_step=*/20, [] { return 1700000000.25; });
  sink.record({.step = 30, .split = "", .values = {{"loss", 2.5}, {"grad_norm", 0.1}}});
  // Made with tensorboard 2.21: RecordWriter of Event(file_version), Event(step=21, session_log
  // START), Event(step=30, summary of train/loss and train/grad_norm), all of this time.
  EXPECT_EQ(hex(read_text(posix_files(), sink.path())),
            "1800000000000000a37f4b220900001040fc54d9411a0d627261696e2e4576656e743a32338d2fe9"
            "0f000000000000006d532b090900001040fc54d94110153a0208010e937c4c"
            "3800000000000000a3797d570900001040fc54d941101e"
            "2a2b0a110a0a747261696e2f6c6f737315000020400a160a0f747261696e2f677261645f6e6f726d15cdcc"
            "cc3d026f20dd");
}

TEST(TensorBoardSink, MakesFilesWhoseNamesSortInTheOrderOfStarts) {
  const TemporaryFolder folder;
  std::vector<std::string> paths;
  for (const double time :
       {1700000000.0, 1700000000.0, 1600000000.0, 1800000000.0})  // the clock may also go back
    paths.push_back(TensorBoardSink(folder / "tensorboard", 0, [&] { return time; }).path());
  EXPECT_TRUE(std::is_sorted(paths.begin(), paths.end()));
  EXPECT_EQ(std::set<std::string>(paths.begin(), paths.end()).size(), 4u);
}

}  // namespace
}  // namespace triga
