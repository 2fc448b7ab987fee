// The core's datasets and tokenizers, as an experiment names them.
#include "data/core_kinds.h"

#include <gmock/gmock.h>

#include "data/bytes_tokenizer.h"
#include "tests/support/message_of.h"
#include "tests/support/temporary_folder.h"

namespace triga {
namespace {

using ::testing::HasSubstr;
using ::triga::test::message_of;
using ::triga::test::TemporaryFolder;

ConfigNode files_node(const std::vector<std::string>& files) {
  auto list = ConfigNode::make_sequence();
  for (const auto& file : files) list.items.push_back(ConfigNode::make_scalar(file));
  auto node = ConfigNode::make_mapping();
  node.add("files", list);
  return node;
}

ConfigNode take_node(const std::string& from, const std::string& to) {
  auto node = ConfigNode::make_mapping();
  node.add("from", ConfigNode::make_scalar(from));
  node.add("to", ConfigNode::make_scalar(to));
  return node;
}

std::unique_ptr<Dataset> make_text(const ConfigNode& node) {
  Registry registry;
  register_core_datasets(registry);
  const BytesTokenizer tokenizer;
  const auto& kind = registry.datasets.kinds().at(0);
  EXPECT_EQ(kind.name, "text");
  return kind.create(
      node, {.split = "train", .tokenizer = &tokenizer, .sequence_length = 4, .cache_dir = ""});
}

TEST(TextKind, ReadsTheFilesOfItsConfig) {
  const TemporaryFolder folder;
  folder.write("1.txt", "abcd\nefgh\n");
  auto node = files_node({folder / "*.txt"});
  EXPECT_EQ(make_text(node)->size(), 3);  // 9 predicted tokens, 4 a window
  node.add("take", take_node("0", "0.5"));
  EXPECT_EQ(make_text(node)->size(), 1);
  node.add("document", ConfigNode::make_scalar("line"));
  node.add("pack", ConfigNode::make_scalar("false"));
  EXPECT_EQ(make_text(node)->length(0), 4);
}

TEST(TextKind, RefusesAnEmptyListAndAnEmptyPart) {
  EXPECT_THAT(message_of<ConfigError>([] { make_text(files_node({})); }),
              HasSubstr("name at least one file"));
  auto node = files_node({"a"});
  node.add("take", take_node("0.5", "0.5"));
  EXPECT_THAT(message_of<ConfigError>([&] { make_text(node); }),
              HasSubstr("from: 0.5 is not below to: 0.5"));
}

TEST(BytesKind, MakesTheBytesTokenizer) {
  Registry registry;
  register_core_tokenizers(registry);
  const auto& kind = registry.tokenizers.kinds().at(0);
  EXPECT_EQ(kind.name, "bytes");
  EXPECT_EQ(kind.create(ConfigNode::make_mapping(), {})->vocab_size(), 257);
}

}  // namespace
}  // namespace triga
