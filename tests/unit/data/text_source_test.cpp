#include "data/text_source.h"

#include <gmock/gmock.h>
#include <unistd.h>

#include <thread>

#include "tests/support/message_of.h"
#include "tests/support/temporary_folder.h"

namespace triga {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::triga::test::message_of;
using ::triga::test::TemporaryFolder;
using Document = TextSourceOptions::Document;

std::vector<std::string> documents_of(const TextSource& source) {
  std::vector<std::string> documents;
  for (int64_t i = 0; i < source.size(); ++i) documents.emplace_back(source.document(i));
  return documents;
}

std::vector<std::string> documents_of(const TextSourceOptions& options) {
  return documents_of(TextSource(options));
}

TEST(TextSource, MakesADocumentOfEachFile) {
  const TemporaryFolder folder;
  folder.write("1.txt", "one\ntwo\n");
  folder.write("2.txt", "");
  folder.write("3.txt", "three");
  EXPECT_THAT(documents_of({.files = {folder / "*.txt"}}), ElementsAre("one\ntwo\n", "three"));
}

TEST(TextSource, MakesADocumentOfEachLineThatIsNotBlank) {
  const TemporaryFolder folder;
  folder.write("1.txt", "one\n\n  \ntwo \r\nthree");
  folder.write("2.txt", "\nfour\n");
  EXPECT_THAT(documents_of({.files = {folder / "*.txt"}, .document = Document::kLine}),
              ElementsAre("one", "two ", "three", "four"));
}

/// Parts that touch, put together again, for documents of every kind and fractions that cut
/// anywhere.
TEST(TextSource, PartsThatTouchShareNothingAndLeaveNothingOut) {
  const TemporaryFolder folder;
  folder.write("1.txt", "ab\ncdé\n\nfg\n");
  folder.write("2.txt", "h\nij\n");
  folder.write("3.txt", "klmnöpq\nr");
  for (const auto& pattern : {"*.txt", "1.txt"}) {
    for (const auto document : {Document::kFile, Document::kLine}) {
      const auto whole = documents_of({.files = {folder / pattern}, .document = document});
      std::string text;
      for (const auto& each : whole) text += each;
      for (int percent = 1; percent < 100; ++percent) {
        TextSourceOptions options{.files = {folder / pattern}, .document = document};
        std::vector<std::string> parts;
        for (const bool first : {true, false}) {
          options.from = first ? 0 : percent / 100.0;
          options.to = first ? percent / 100.0 : 1;
          try {
            const auto part = documents_of(options);
            parts.insert(parts.end(), part.begin(), part.end());
          } catch (const DataError&) {  // nothing in this part
          }
        }
        std::string joined;
        for (const auto& each : parts) joined += each;
        EXPECT_EQ(joined, text) << pattern << " at " << percent;
        if (whole.size() > 1) {
          EXPECT_EQ(parts, whole) << "documents stay whole";
        }
      }
    }
  }
}

TEST(TextSource, CutsASingleDocumentAtTheByteBeforeACharacter) {
  const TemporaryFolder folder;
  const auto file = folder.write("1.txt", "0123456é89");  // 11 bytes, é is 7 and 8
  EXPECT_THAT(documents_of({.files = {file}, .to = 0.5}), ElementsAre("01234"));
  EXPECT_THAT(documents_of({.files = {file}, .from = 0.5}), ElementsAre("56é89"));
  EXPECT_THAT(documents_of({.files = {file}, .to = 8.5 / 11}), ElementsAre("0123456é"));
  EXPECT_THAT(documents_of({.files = {file}, .from = 8.5 / 11}), ElementsAre("89"));
  EXPECT_THAT(documents_of({.files = {file}, .from = 0.2, .to = 0.4}), ElementsAre("23"));
}

TEST(TextSource, GivesADocumentToThePartInWhichItBegins) {
  const TemporaryFolder folder;
  folder.write("1.txt", "12345678");
  folder.write("2.txt", "90");
  EXPECT_THAT(documents_of({.files = {folder / "*"}, .to = 0.5}), ElementsAre("12345678"));
  EXPECT_THAT(documents_of({.files = {folder / "*"}, .from = 0.5}), ElementsAre("90"));
  EXPECT_THAT(message_of<DataError>([&] { documents_of({.files = {folder / "*"}, .from = 0.9}); }),
              HasSubstr("take {from: 0.9, to: 1} leaves nothing of"));
}

TEST(TextSource, RefusesWhatIsNotText) {
  const TemporaryFolder folder;
  const auto empty = folder.write("empty.txt", "");
  EXPECT_EQ(message_of<DataError>([&] { TextSource({.files = {empty}}); }), empty + ": is empty");

  folder.write("blank/1.txt", " \n\n");
  EXPECT_THAT(message_of<DataError>(
                  [&] { TextSource({.files = {folder / "blank"}, .document = Document::kLine}); }),
              ::testing::AllOf(HasSubstr("no text in"), HasSubstr("blank/1.txt")));

  const auto latin = folder.write("latin.txt", "caf\xE9");
  EXPECT_THAT(message_of<DataError>([&] { documents_of({.files = {latin}}); }),
              HasSubstr("latin.txt: not UTF-8 text: byte 3 is 0xe9"));
}

TEST(TextSource, SaysThatAFileChangedOrWentAwaySinceTheStart) {
  const TemporaryFolder folder;
  const auto first = folder.write("1.txt", "0123456789"),
             second = folder.write("2.txt", "0123456789");
  const TextSource source({.files = {first, second}});
  folder.write("1.txt", "01234");
  EXPECT_EQ(message_of<DataError>([&] { source.document(0); }),
            first + ": changed since the start, from 10 to 5 bytes");
  std::filesystem::remove(second);
  EXPECT_EQ(message_of<DataError>([&] { source.document(1); }),
            "cannot open " + second + ": No such file or directory");
}

TEST(TextSource, CanBeReadByThreadsAtOnce) {
  const TemporaryFolder folder;
  for (int i = 0; i < 20; ++i)
    folder.write(c10::str(i + 10, ".txt"), std::string(1000, static_cast<char>('a' + i)));
  const TextSource source({.files = {folder / "*"}});
  std::vector<std::thread> threads;
  std::atomic<int> num_wrong = 0;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&, t] {
      for (int i = 0; i < 200; ++i) {
        const int64_t index = (i * (t + 1)) % 20;
        if (source.document(index) != std::string(1000, static_cast<char>('a' + index)))
          ++num_wrong;
      }
    });
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(num_wrong, 0);
}

TEST(TextSource, FingerprintChangesWithTheDocuments) {
  const TemporaryFolder folder;
  folder.write("1.txt", "ab\ncd\n");
  const auto fingerprint = [&](const TextSourceOptions& options) {
    return TextSource(options).fingerprint();
  };
  const auto lines = fingerprint({.files = {folder / "*"}, .document = Document::kLine});
  EXPECT_EQ(lines, fingerprint({.files = {folder / "1.txt"}, .document = Document::kLine}));
  EXPECT_NE(lines, fingerprint({.files = {folder / "*"}}));
  folder.write("1.txt", "abc\nd\n");  // the same bytes, cut elsewhere
  EXPECT_NE(lines, fingerprint({.files = {folder / "*"}, .document = Document::kLine}));
}

}  // namespace
}  // namespace triga
