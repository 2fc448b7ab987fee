#include "data/cached_tokens.h"

#include <utility>

#include "data/cache_entry.h"
#include "data/fingerprint.h"
#include "triga/error.h"
#include "triga/log.h"
#include "triga/tokenizer.h"

namespace triga {
namespace {

void write_tokens(std::unique_ptr<WritableFile> file, const DocumentSource& documents,
                  TokenDocuments kind, const DatasetContext& context) {
  const Tokenizer& tokenizer = *context.tokenizer;
  const std::optional<int32_t> end_of_text = tokenizer.end_of_text();
  TokenFileWriter writer(std::move(file), tokenizer.vocab_size());
  const std::string what = "tokens of " + context.split;
  for (int64_t i = 0; i < documents.size(); ++i) {
    context.report_progress(what, i, documents.size());
    std::vector<int32_t> tokens = tokenizer.encode(documents.document(i));
    if (tokens.empty() && kind == TokenDocuments::kOfText) continue;
    if (end_of_text && kind == TokenDocuments::kOfText) tokens.push_back(*end_of_text);
    writer.add(tokens);
  }
  writer.finish();
  context.report_progress(what, documents.size(), documents.size());
}

CachedTokens tokens_in_memory(const DocumentSource& documents, TokenDocuments kind,
                              const DatasetContext& context) {
  const auto bytes = std::make_shared<std::string>();
  write_tokens(write_to_memory(bytes), documents, kind, context);
  return {std::make_unique<TokenFile>(read_from_memory(bytes), "tokens in memory"), {}};
}

/// Where the tokens are cached; "": nowhere, since nothing says what the tokenizer is.
Path cache_path(const DocumentSource& documents, TokenDocuments kind,
                const DatasetContext& context) {
  const std::map<std::string, std::string> files = context.tokenizer->files();
  if (context.cache_dir.empty() || files.empty()) return {};
  Fingerprint fingerprint;
  fingerprint.add(kind == TokenDocuments::kOfText ? "token file 1" : "token file of samples 1");
  fingerprint.add(documents.fingerprint());
  fingerprint.add(context.tokenizer->vocab_size());
  fingerprint.add(context.tokenizer->end_of_text().value_or(-1));
  for (const auto& [name, content] : files) {
    fingerprint.add(name);
    fingerprint.add(content);
  }
  return Path(context.cache_dir) / "tokens" / fingerprint.text();
}

}  // namespace

CachedTokens cached_tokens(const DocumentSource& documents, TokenDocuments kind,
                           const DatasetContext& context) {
  const Path path = cache_path(documents, kind, context);
  if (path.empty()) return tokens_in_memory(documents, kind, context);
  try {
    make_cached_file(posix_files(), path, "tokens of " + context.split, [&](const Path& temporary) {
      write_tokens(posix_files().create(temporary), documents, kind, context);
    });
    return {std::make_unique<TokenFile>(posix_files().open(path), path.string()), path};
  } catch (const FileError& error) {
    log_warning("data", error.what(), ": the tokens of ", context.split,
                " are not cached, and each process keeps its own in memory; TRIGA_CACHE_DIR names "
                "another folder");
    return tokens_in_memory(documents, kind, context);
  }
}

std::optional<TokenDataset::OnDisk> tokens_on_disk(const Dataset& dataset) {
  const auto* tokens = dynamic_cast<const TokenDataset*>(&dataset);
  return tokens == nullptr ? std::nullopt : std::optional(tokens->on_disk());
}

}  // namespace triga
