#include "data/labelled_text.h"

#include <ATen/ops/scalar_tensor.h>

#include <algorithm>
#include <charconv>

#include "base/files.h"
#include "base/utf8.h"
#include "data/cached_tokens.h"
#include "data/file_list.h"
#include "data/fingerprint.h"
#include "data/take.h"

namespace triga {
namespace {

enum class Separator { kTab, kComma };

struct LabelledTextConfig {
  std::vector<ConfigPath> files;
  Separator separator = Separator::kTab;
  int64_t text_column = 0, label_column = 1, skip_lines = 0;
  TakeConfig take;
};

void describe(Fields& fields, LabelledTextConfig& config) {
  fields.field("files", config.files)
      .help("Text files in UTF-8 with a text and its label on each line; as for kind text.")
      .required()
      .known_as({"data_files", "train_file", "path", "paths"});
  fields
      .choice("separator", config.separator,
              {{"tab", Separator::kTab}, {"comma", Separator::kComma}})
      .help("What stands between columns. Quotes mean nothing.")
      .known_as({"delimiter", "sep"});
  fields.field("text_column", config.text_column)
      .help("Which column is the text; the first is 0.")
      .at_least(0);
  fields.field("label_column", config.label_column)
      .help("Which column is the label, a number of at least 0.")
      .at_least(0);
  fields.field("skip_lines", config.skip_lines)
      .help("Lines at the start of each file that name the columns.")
      .at_least(0)
      .known_as({"header"});
  fields.field("take", config.take).help("The part of all lines that this split gets.");
  fields.rule("label_column", [&config]() -> std::optional<std::string> {
    if (config.text_column != config.label_column) return std::nullopt;
    return "is the text's column as well";
  });
}

struct Line {
  std::string_view text;
  int64_t label;
};

Line parse_line(std::string_view line, const LabelledTextConfig& config, const std::string& place) {
  const char separator = config.separator == Separator::kTab ? '\t' : ',';
  std::vector<std::string_view> columns;
  for (size_t begin = 0; begin <= line.size();) {
    const size_t end = std::min(line.find(separator, begin), line.size());
    columns.push_back(line.substr(begin, end - begin));
    begin = end + 1;
  }
  const auto needed = static_cast<size_t>(std::max(config.text_column, config.label_column)) + 1;
  if (columns.size() < needed)
    throw DataError(c10::str(place, ": ", columns.size(), " columns; expected ", needed));
  Line parsed{columns[static_cast<size_t>(config.text_column)], 0};
  const std::string_view label = columns[static_cast<size_t>(config.label_column)];
  const auto [end, error] =
      std::from_chars(label.data(), label.data() + label.size(), parsed.label);
  if (error != std::errc() || end != label.data() + label.size() || parsed.label < 0)
    throw DataError(
        c10::str(place, ": the label is '", label, "'; expected a number of at least 0"));
  return parsed;
}

struct LabelledLine {
  std::string text, place;
  int64_t label;
};

/// The lines of a file that have a text.
void read_lines(const std::string& file, const LabelledTextConfig& config,
                std::vector<LabelledLine>& lines) {
  std::string content;
  try {
    content = read_text(posix_files(), file);
  } catch (const FileError& error) {
    throw DataError(error.what());
  }
  if (find_invalid_utf8(content)) throw DataError(file + ": not UTF-8 text");
  int64_t number = 0;
  for (size_t begin = 0; begin < content.size();) {
    const size_t end = std::min(content.find('\n', begin), content.size());
    std::string_view line = std::string_view(content).substr(begin, end - begin);
    begin = end + 1;
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (++number <= config.skip_lines || line.empty()) continue;
    const std::string place = c10::str(file, ":", number);
    const Line parsed = parse_line(line, config, place);
    lines.push_back({std::string(parsed.text), place, parsed.label});
  }
}

/// The part of all lines that a split gets. Throws: DataError when it has none.
std::vector<LabelledLine> lines_of(const LabelledTextConfig& config) {
  std::vector<std::string> patterns;
  for (const ConfigPath& file : config.files) patterns.push_back(file.path);
  std::vector<LabelledLine> lines;
  for (const std::string& file : expand_files(patterns)) read_lines(file, config, lines);
  const auto place = [size = lines.size()](double fraction) {
    return static_cast<ptrdiff_t>(fraction * static_cast<double>(size));
  };
  lines.erase(lines.begin() + place(config.take.to), lines.end());
  lines.erase(lines.begin(), lines.begin() + place(config.take.from));
  if (lines.empty()) throw DataError("no line with a text and a label is left");
  return lines;
}

class TextsOfLines final : public DocumentSource {
 public:
  explicit TextsOfLines(const std::vector<LabelledLine>& lines) : lines_(lines) {}
  int64_t size() const override { return static_cast<int64_t>(lines_.size()); }
  std::string_view document(int64_t index) const override {
    return lines_[static_cast<size_t>(index)].text;
  }
  std::string fingerprint() const override {
    Fingerprint fingerprint;
    for (const LabelledLine& line : lines_) fingerprint.add(line.text);
    return fingerprint.text();
  }

 private:
  const std::vector<LabelledLine>& lines_;
};

/// Samples {"tokens": int64 [n], "label": int64 []}, n up to the model's sequence length.
class LabelledText final : public TokenDataset {
 public:
  LabelledText(const std::vector<LabelledLine>& lines, const DatasetContext& context)
      : TokenDataset(cached_tokens(TextsOfLines(lines), TokenDocuments::kOfSamples, context)),
        longest_(context.sequence_length) {
    for (const LabelledLine& line : lines) {
      const size_t i = labels_.size();
      if (tokens_->ends()[i] == begin_of(i)) throw DataError(line.place + ": the text is empty");
      labels_.push_back(line.label);
    }
  }

  int64_t size() const override { return static_cast<int64_t>(labels_.size()); }
  int64_t length(int64_t index) const override {
    const auto i = static_cast<size_t>(index);
    return std::min(tokens_->ends()[i] - begin_of(i), longest_);
  }
  Sample get(int64_t index) const override {
    const auto i = static_cast<size_t>(index);
    const int64_t begin = begin_of(i);
    return {{"tokens", tokens_->slice(begin, begin + length(index))},
            {"label", at::scalar_tensor(labels_[i], at::kLong)}};
  }
  std::string fingerprint() const override {
    Fingerprint fingerprint;
    fingerprint.add("labelled text");
    fingerprint.add(longest_);
    fingerprint.add(tokens_->fingerprint());
    for (const int64_t label : labels_) fingerprint.add(label);
    return fingerprint.text();
  }

 private:
  int64_t longest_;  // tokens of a sample
  std::vector<int64_t> labels_;
};

}  // namespace

void register_labelled_text(Registry& registry) {
  registry.datasets.add<LabelledTextConfig>(
      "labelled_text", "A text and its class on each line of a file, such as SST-2's.",
      [](const LabelledTextConfig& config,
         const DatasetContext& context) -> std::unique_ptr<Dataset> {
        check_reads_tokens(context);
        return std::make_unique<LabelledText>(lines_of(config), context);
      });
}

}  // namespace triga
