#include "sentences.h"

#include <algorithm>
#include <fstream>
#include <iterator>

namespace triga::plugin_my_plugin {
namespace {

constexpr size_t kHeldOutEvery = 10;

std::string read_file(const std::string& path) {
  std::ifstream stream(path, std::ios::binary);
  std::string text{std::istreambuf_iterator<char>(stream), {}};
  if (!stream.is_open() || stream.bad())
    throw DataError(c10::str(path, ": there is no such file, or it cannot be read"));
  return text;
}

/// Texts by index are all that a reader of a format has to give; the core tokenizes them, keeps the
/// tokens in its cache, and makes samples of them.
class Sentences final : public DocumentSource {
 public:
  explicit Sentences(const SentencesConfig& config) : text_(read_file(config.file.path)) {
    const std::string_view text = text_;
    size_t number = 0;
    for (size_t begin = 0; begin < text.size();) {
      const size_t end = std::min(text.find_first_of(".!?", begin), text.size() - 1) + 1;
      const bool is_held_out = ++number % kHeldOutEvery == 0;
      if (is_held_out == (config.part == SentencesConfig::Part::kHeldOut))
        sentences_.push_back(text.substr(begin, end - begin));
      begin = std::min(text.find_first_not_of(" \n", end), text.size());
    }
  }

  int64_t size() const override { return static_cast<int64_t>(sentences_.size()); }
  std::string_view document(int64_t index) const override {
    return sentences_[static_cast<size_t>(index)];
  }
  /// A resume on other data is refused by this.
  std::string fingerprint() const override {
    return c10::str(RandomKey().with(text_).value(), " ", sentences_.size());
  }

 private:
  std::string text_;
  std::vector<std::string_view> sentences_;  // into text_
};

}  // namespace

void describe(Fields& fields, SentencesConfig& config) {
  using Part = SentencesConfig::Part;
  fields.field("file", config.file).help("Text file, in UTF-8.").required();
  fields.choice("part", config.part, {{"train", Part::kTrain}, {"held_out", Part::kHeldOut}})
      .help("Which sentences: every tenth is held out.");
}

std::unique_ptr<Dataset> make_sentences(const SentencesConfig& config,
                                        const DatasetContext& context) {
  return make_token_dataset(std::make_unique<Sentences>(config), {.pack = false}, context);
}

}  // namespace triga::plugin_my_plugin
