// How an experiment configures the core's own datasets and tokenizers.
#include "data/core_kinds.h"

#include "data/byte_bpe_kind.h"
#include "data/bytes_tokenizer.h"
#include "data/image_kinds.h"
#include "data/labelled_text.h"
#include "data/series_kind.h"
#include "data/take.h"
#include "data/text_source.h"
#include "data/wordpiece_kind.h"

namespace triga {
namespace {

struct TextConfig {
  std::vector<ConfigPath> files;
  TextSourceOptions::Document document = TextSourceOptions::Document::kFile;
  TakeConfig take;
  bool pack = true;
};

void describe(Fields& fields, TextConfig& config) {
  using Document = TextSourceOptions::Document;
  fields.field("files", config.files)
      .help(
          "Text files in UTF-8: paths, folders (all files below), or globs with * ? [...], and ** "
          "for any number of "
          "folders. In this order; what one pattern matches is sorted.")
      .required()
      .known_as({"data_files", "train_file", "train_files", "path", "paths"});
  fields.choice("document", config.document, {{"file", Document::kFile}, {"line", Document::kLine}})
      .help("What one document is: a file, or each line that is not blank.")
      .known_as({"line_by_line"});
  fields.field("take", config.take)
      .help(
          "The part of the bytes of all files that this split gets, such as {to: 0.9} and {from: "
          "0.9}. A document "
          "belongs to the part in which it begins; a single document is cut.");
  fields.field("pack", config.pack)
      .help(
          "true: documents one after the other, the end-of-text token between, cut into sequences "
          "of full length. "
          "false: each document is a sample, cut to the sequence length and padded in its batch; "
          "padding is not "
          "trained on.")
      .known_as({"packing", "group_texts"});
  fields.rule("files", [&config]() -> std::optional<std::string> {
    if (!config.files.empty()) return std::nullopt;
    return "the list is empty; name at least one file";
  });
}

std::unique_ptr<Dataset> make_text(const TextConfig& config, const DatasetContext& context) {
  TextSourceOptions options{
      .files = {}, .document = config.document, .from = config.take.from, .to = config.take.to};
  for (const auto& file : config.files) options.files.push_back(file.path);
  return make_token_dataset(std::make_unique<TextSource>(options), {.pack = config.pack}, context);
}

struct BytesConfig {};
void describe(Fields&, BytesConfig&) {}

}  // namespace

void register_core_datasets(Registry& registry) {
  registry.datasets.add<TextConfig>("text", "Plain text files, read as tokens.", make_text);
  register_labelled_text(registry);
  register_image_datasets(registry);
  register_csv_series(registry);
}

void register_core_tokenizers(Registry& registry) {
  registry.tokenizers.add<BytesConfig>("bytes",
                                       "Each byte of UTF-8 is a token; 257 with the end of text.",
                                       [](const BytesConfig&, const TokenizerContext&) {
                                         return std::make_unique<BytesTokenizer>();
                                       });
  register_byte_bpe(registry);
  register_wordpiece(registry);
}

}  // namespace triga
