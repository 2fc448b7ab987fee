// A dataset for models of others: the paragraphs of a text file, which empty lines separate.
#include <algorithm>
#include <fstream>
#include <iterator>

#include "triga/plugin.h"

namespace triga::outside {

struct ParagraphsConfig {
  ConfigPath file;
};

void describe(Fields& fields, ParagraphsConfig& config) {
  fields.field("file", config.file).help("Text file, in UTF-8.").required();
}

class Paragraphs final : public DocumentSource {
 public:
  explicit Paragraphs(const std::string& path) {
    std::ifstream stream(path, std::ios::binary);
    if (!stream) throw DataError(path + ": cannot be read");
    text_.assign(std::istreambuf_iterator<char>(stream), {});
    const std::string_view text = text_;
    for (size_t begin = 0; begin < text.size();) {
      const size_t end = std::min(text.find("\n\n", begin), text.size());
      paragraphs_.push_back(text.substr(begin, end - begin));
      begin = std::min(text.find_first_not_of('\n', end), text.size());
    }
  }
  int64_t size() const override { return static_cast<int64_t>(paragraphs_.size()); }
  std::string_view document(int64_t index) const override {
    return paragraphs_[static_cast<size_t>(index)];
  }
  std::string fingerprint() const override {
    return std::to_string(RandomKey().with(text_).value());
  }

 private:
  std::string text_;
  std::vector<std::string_view> paragraphs_;
};

}  // namespace triga::outside

TRIGA_PLUGIN(paragraphs, "1.0.0") {
  using namespace triga;
  registry.datasets.add<outside::ParagraphsConfig>(
      "paragraphs", "The paragraphs of a text file.",
      [](const outside::ParagraphsConfig& config, const DatasetContext& context) {
        return make_token_dataset(std::make_unique<outside::Paragraphs>(config.file.path),
                                  {.pack = false}, context);
      });
}
