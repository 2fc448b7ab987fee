// Experiment files that were damaged at random: reading one gives an experiment or a ConfigError
// that names the file, in bounded time, whatever the bytes. Deterministic; worth running under asan
// too.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>

#include "config/load.h"
#include "config/resolve.h"
#include "config/yaml.h"
#include "data/core_kinds.h"
#include "optim/optimizers.h"
#include "optim/schedules.h"

namespace triga {
namespace {

namespace fs = std::filesystem;

constexpr int kRounds = 20000;

/// Pieces that mean something to YAML or to an experiment.
constexpr const char* kPieces[] = {
    ":",    ": ",     "\n",    "\n  ",         "- ",       "[",       "]",     "{",       "}",
    ",",    "&a",     "*a",    "<<:",          "? ",       "|\n",     ">\n",   "'",       "\"",
    "\\x",  "#",      "---\n", "...\n",        "!!",       "!x ",     "%TAG ", "${data}", "${",
    "$$",   "\t",     "\r\n",  "\xEF\xBB\xBF", "\xC3",     "~",       "0x",    "1e999",   "-0",
    ".nan", "train:", "null",  "kind: ",       "plugin: ", "files: ", "\x01"};

Registry core_registry() {
  Registry registry;
  register_core_datasets(registry);
  register_core_tokenizers(registry);
  register_core_optimizers(registry);
  register_core_schedules(registry);
  return registry;
}

std::string text_of(const fs::path& file) {
  std::ifstream stream(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), {}};
}

/// The shipped experiments and the wrong ones of tests/refused.
std::vector<std::string> seeds() {
  std::vector<fs::path> files;
  const fs::path root = TRIGA_SOURCE_DIR;
  for (const char* folder : {"experiments", "tests/refused/cases"})
    for (const auto& entry : fs::recursive_directory_iterator(root / folder))
      if (entry.path().extension() == ".yaml") files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  std::vector<std::string> texts;
  for (const fs::path& file : files) texts.push_back(text_of(file));
  return texts;
}

class Damage {
 public:
  explicit Damage(std::vector<std::string> seeds) : seeds_(std::move(seeds)) {}

  std::string next() {
    std::string text = seeds_[below(seeds_.size())];
    for (size_t i = 1 + below(6); i > 0 && !text.empty(); --i) damage(text);
    return text;
  }
  size_t below(size_t bound) {
    return std::uniform_int_distribution<size_t>(0, bound - 1)(random_);
  }
  std::string piece() { return kPieces[below(std::size(kPieces))]; }

 private:
  void damage(std::string& text) {
    const size_t at = below(text.size()), length = std::min(text.size() - at, 1 + below(40));
    switch (below(6)) {
      case 0:
        text[at] = static_cast<char>(below(256));
        return;
      case 1:
        text.erase(at, length);
        return;
      case 2:
        text.insert(at, piece());
        return;
      case 3:
        text.insert(at, text.substr(at, length));
        return;
      case 4:
        text.insert(at, seeds_[below(seeds_.size())].substr(0, 1 + below(400)));
        return;
      default:
        text.resize(at + 1);
    }
  }

  std::vector<std::string> seeds_;
  std::mt19937_64 random_{20260101};
};

/// What reading `action` ends with: true for a value, false for a ConfigError. Anything else fails.
template <class Action>
bool is_accepted(const Action& action, const std::string& names) {
  try {
    action();
    return true;
  } catch (const ConfigError& error) {
    EXPECT_FALSE(error.problems.empty());
    EXPECT_NE(std::string(error.what()).find(names), std::string::npos) << error.what();
  }
  return false;
}

TEST(ConfigFuzz, DamagedFilesAreReadOrRefusedInWords) {
  const Registry registry = core_registry();
  Damage damage(seeds());
  std::chrono::steady_clock::duration longest{};
  int num_parsed = 0;
  for (int i = 0; i < kRounds; ++i) {
    const std::string text = damage.next();
    SCOPED_TRACE(text);
    const auto start = std::chrono::steady_clock::now();
    ConfigNode root;
    if (is_accepted([&] { root = parse_yaml(text, "fuzz.yaml"); }, "fuzz.yaml")) {
      ++num_parsed;
      is_accepted(
          [&] {
            expand_variables(root, {});
            named_plugins(root);
            const ResolvedExperiment resolved = resolve_experiment(root, registry);
            const std::string written = write_resolved(resolved.node);
            ConfigNode again = parse_yaml(written, "fuzz.yaml");
            expand_variables(again, {});
            EXPECT_EQ(write_resolved(resolve_experiment(again, registry).node), written);
          },
          "fuzz.yaml");
    }
    longest = std::max(longest, std::chrono::steady_clock::now() - start);
    if (HasFailure()) return;
  }
  EXPECT_LT(longest, std::chrono::seconds(1));
  EXPECT_GT(num_parsed, kRounds / 20) << "the damage is too heavy to reach what lies behind YAML";
}

TEST(ConfigFuzz, DamagedOverridesAreAppliedOrRefusedInWords) {
  Damage damage({"train.max_steps=50", "optimizer.groups[0].weight_decay=0",
                 "data.train={kind: text}", "model.config.dropout=0.1", "a.b.c=[1, {x: y}]"});
  const ConfigNode root =
      parse_yaml(text_of(fs::path(TRIGA_SOURCE_DIR) / "experiments/quickstart.yaml"), "q.yaml");
  int num_applied = 0;
  for (int i = 0; i < kRounds; ++i) {
    const std::string setting = damage.next();
    SCOPED_TRACE(setting);
    ConfigNode changed = root;
    num_applied += is_accepted([&] { apply_override(changed, setting); }, "--set") ? 1 : 0;
    if (HasFailure()) return;
  }
  EXPECT_GT(num_applied, kRounds / 20);
}

}  // namespace
}  // namespace triga
