// Files that a checkpoint is read from, mutated: whatever comes, the answer is a CheckpointError or
// tensors that lie in the file. The mutations are the same every time; a failure prints its number.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cstring>
#include <functional>
#include <random>

#include "checkpoint/checksum.h"
#include "checkpoint/manifest.h"
#include "checkpoint/safetensors.h"
#include "checkpoint/tensor_files.h"
#include "tests/support/memory_files.h"

namespace triga {
namespace {

using test::MemoryFiles;

constexpr int kNumMutations = 20000;

std::string bytes_of(const TensorsByName& tensors, const Metadata& metadata) {
  MemoryFiles files;
  ChecksummedFile file(files, "/", "seed");
  write_safetensors(file, tensors, metadata);
  file.finish();
  return files.content("/seed");
}

std::vector<std::string> seeds() {
  return {
      bytes_of({}, {}),
      bytes_of({{"x", at::arange(6, at::kFloat).view({2, 3})}}, {}),
      bytes_of({{"wte.weight", at::ones({4, 3}, at::kBFloat16)},
                {"step", at::scalar_tensor(3, at::kLong)},
                {"mask", at::ones({5}, at::kBool)},
                {"none", at::zeros({0, 7}, at::kDouble)}},
               {{"format", "pt"}}),
  };
}

// What breaks parsers: borders of integers, structure in the wrong place, bad UTF-8, deep nesting.
const std::vector<std::string>& interesting() {
  static const std::vector<std::string> pieces = {
      "0",
      "1",
      "-1",
      "9223372036854775807",
      "9223372036854775808",
      "18446744073709551615",
      "18446744073709551616",
      "4294967296",
      "1e3",
      "1.0",
      "1e999",
      "null",
      "true",
      "\"",
      "\\",
      "\\u0000",
      "\\ud800",
      "{",
      "}",
      "[",
      "]",
      ",",
      ":",
      "{}",
      "[]",
      "\"dtype\":\"F64\"",
      "\"dtype\":\"BOOL\"",
      "\"F32\"",
      "\"I8\"",
      "\"shape\":[]",
      "\"data_offsets\":[0,0]",
      "\"__metadata__\"",
      "\"x\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]},",
      "[[[[[[[[[[[[[[[[[[[[",
      " ",
      std::string("\0", 1),
      "\xff",
      "\xc0\xaf",
      "\xed\xa0\x80",
      "\xef\xbb\xbf"};
  return pieces;
}

class Mutator {
 public:
  explicit Mutator(unsigned seed) : random_(seed) {}

  // One to four changes; `fix`: makes lengths or checksums right again, so that what lies behind
  // them is reached.
  std::string mutate(std::string text, const std::function<void(std::string&)>& fix) {
    for (unsigned i = 0, n = 1 + below(4); i < n; ++i) change(text);
    if (below(4) != 0) fix(text);
    return text;
  }

  unsigned below(size_t bound) { return static_cast<unsigned>(random_() % bound); }

 private:
  void change(std::string& text) {
    const size_t at = below(text.size() + 1);
    const size_t length = std::min<size_t>(1 + below(12), text.size() - at);
    switch (below(7)) {
      case 0:
        if (at < text.size()) text[at] = static_cast<char>(text[at] ^ (1 << below(8)));
        break;
      case 1:
        if (at < text.size()) text[at] = static_cast<char>(below(256));
        break;
      case 2:
        text.erase(at, length);
        break;
      case 3:
        text.insert(at, text.substr(below(text.size() + 1), 1 + below(40)));
        break;
      case 4:
        text.insert(at, interesting()[below(interesting().size())]);
        break;
      case 5:
        text.replace(at, length, interesting()[below(interesting().size())]);
        break;
      case 6:
        text.resize(at);
        break;
    }
  }

  std::mt19937 random_;
};

// Puts the length of the header in front again: up to the last brace and its padding.
void fix_length(std::string& text) {
  size_t end = text.rfind('}');
  if (end == std::string::npos || end < 8) return;
  while (++end < text.size() && text[end] == ' ') {
  }
  const uint64_t length = end - 8;
  std::memcpy(text.data(), &length, sizeof length);
}

// Reads all there is; true: the file was accepted. Anything but a CheckpointError fails the test.
bool read_everything(MemoryFiles& files, const Path& path, uint64_t file_bytes) {
  try {
    const SafetensorsFile file(files, path);
    uint64_t end_before = 0;
    for (const auto& info : file.tensors()) {
      EXPECT_GE(info.offset, std::max<uint64_t>(end_before, 8));
      EXPECT_LE(info.offset + info.bytes, file_bytes);
      EXPECT_EQ(info.bytes, static_cast<uint64_t>(info.numel()) * c10::elementSize(info.dtype));
      end_before = info.offset + info.bytes;
      if (info.dtype == at::kBool) continue;
      const auto tensor = file.read(info);
      if (tensor.numel() > 1) file.read_range(info, 1, at::empty({tensor.numel() - 1}, info.dtype));
    }
    for (const auto& info : file.tensors())
      if (info.dtype == at::kBool) file.read(info);  // may be refused for its values
    return true;
  } catch (const CheckpointError& error) {
    EXPECT_LT(std::strlen(error.what()), 2000u);
    return false;
  }
}

TEST(FuzzSafetensors, GivesTensorsInTheFileOrACheckpointError) {
  int num_accepted = 0;
  for (int i = 0; i < kNumMutations; ++i) {
    SCOPED_TRACE(i);
    Mutator mutator(static_cast<unsigned>(i));
    const auto all = seeds();
    const auto text = mutator.mutate(all[mutator.below(all.size())], fix_length);
    MemoryFiles files;
    atomic_write(files, "/f", text);
    num_accepted += read_everything(files, "/f", text.size());
    if (testing::Test::HasFailure()) FAIL() << text;
  }
  EXPECT_GT(num_accepted, kNumMutations / 200) << "hardly a mutation gets past the first check";
  EXPECT_LT(num_accepted, kNumMutations / 2);
}

TEST(FuzzIndex, GivesTensorsOrACheckpointError) {
  const auto plan = plan_shards({{"a", at::ones({4})}, {"b", at::ones({4})}}, "model", 16);
  for (int i = 0; i < kNumMutations / 4; ++i) {
    Mutator mutator(static_cast<unsigned>(i));
    MemoryFiles files;
    for (const auto& [name, tensors] : plan.files)
      atomic_write(files, Path("/") / name, bytes_of(tensors, {}));
    atomic_write(files, Path("/") / plan.index_name,
                 mutator.mutate(plan.index, [](std::string&) {}));
    try {
      const TensorFiles opened(files, "/", "model");
      for (const auto& name : opened.names()) opened.read(name);
    } catch (const CheckpointError&) {
    }
  }
}

TEST(FuzzManifest, GivesAManifestOrACheckpointError) {
  Manifest manifest;
  manifest.step = 7;
  manifest.metrics = {{"loss", 1.5}};
  manifest.environment = {{"cpu", "x"}};
  manifest.files = {{"config.json", 2, {checksum_of("{}")}}};
  const auto fix_checksum = [](std::string& text) {
    constexpr size_t kTail = 32 + 4;
    if (text.size() < kTail) return;
    text.replace(text.size() - kTail, 32, std::string(32, '0'));
    text.replace(text.size() - kTail, 32, checksum_of(text));
  };
  const std::string good = to_json(manifest);
  int num_accepted = 0;
  for (int i = 0; i < kNumMutations / 4; ++i) {
    Mutator mutator(static_cast<unsigned>(i));
    const auto text = mutator.mutate(good, fix_checksum);
    try {
      for (const auto& record : manifest_from_json(text, "M").files)
        EXPECT_TRUE(is_path_inside(record.path)) << text;
      ++num_accepted;
    } catch (const CheckpointError&) {
    }
  }
  EXPECT_GT(num_accepted, 10);
}

TEST(FuzzState, GivesAStateOrACheckpointError) {
  TrainingState state;
  state.best_value = 2.5;
  const std::string good = to_json(state);
  for (int i = 0; i < kNumMutations / 4; ++i) {
    try {
      training_state_from_json(Mutator(static_cast<unsigned>(i)).mutate(good, [](std::string&) {}),
                               "S");
    } catch (const CheckpointError&) {
    }
  }
}

}  // namespace
}  // namespace triga
