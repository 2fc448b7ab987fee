#include "data/tokenizer_files.h"

#include "base/utf8.h"
#include "data/cache_entry.h"
#include "triga/log.h"

namespace triga {
namespace {

/// Where a vocabulary learned from these data is cached.
Path cache_path(const TokenizerContext& context, Fingerprint& options) {
  context.for_each_text([&](std::string_view text) { options.add(text); });
  return Path(context.cache_dir) / "tokenizers" / (options.text() + ".json");
}

}  // namespace

std::optional<std::string> problem_of_source(const std::optional<ConfigPath>& from,
                                             const std::optional<int64_t>& vocab_size) {
  if (from && vocab_size)
    return "from: and vocab_size: are both given; a tokenizer is either read or learned";
  if (!from && !vocab_size)
    return "neither from: (read it) nor vocab_size: (learn it) is given; give one of them";
  return std::nullopt;
}

std::string read_tokenizer_file(const Path& path) {
  try {
    return read_text(posix_files(), path);
  } catch (const FileError& error) {
    throw ConfigError(error.what());
  }
}

std::map<std::string, std::string> read_tokenizer_files(const Path& folder,
                                                        const std::vector<std::string>& names) {
  std::map<std::string, std::string> files;
  for (const std::string& name : names)
    if (exists(posix_files(), folder / name)) files[name] = read_tokenizer_file(folder / name);
  return files;
}

std::map<std::string, std::string> files_named(const std::map<std::string, std::string>& files,
                                               const std::vector<std::string>& names) {
  std::map<std::string, std::string> found;
  for (const std::string& name : names)
    if (const auto file = files.find(name); file != files.end()) found.insert(*file);
  return found;
}

void for_each_training_text(const TokenizerContext& context,
                            const std::function<void(std::string_view)>& visit) {
  int64_t num_texts = 0;
  context.for_each_text([&](std::string_view text) {
    context.report_progress("words of the training data", num_texts++, 0);
    if (find_invalid_utf8(text))
      visit(replace_invalid_utf8(text));
    else
      visit(text);
  });
}

std::string learned_vocabulary(const TokenizerContext& context, Fingerprint options,
                               const std::function<std::string()>& learn) {
  if (!context.for_each_text)
    throw ConfigError(
        "the vocabulary is learned from the training data, which is not read here; name a "
        "tokenizer.json with from:");
  if (context.cache_dir.empty()) return learn();
  const Path path = cache_path(context, options);
  try {
    make_cached_file(posix_files(), path, "the vocabulary", [&](const Path& temporary) {
      atomic_write(posix_files(), temporary, learn());
    });
    return read_text(posix_files(), path);
  } catch (const FileError& error) {
    log_warning("data", error.what(),
                ": the vocabulary is not cached, and each process learns it; ",
                "TRIGA_CACHE_DIR names another folder");
    return learn();
  }
}

void warn_of_small_vocabulary(size_t num_tokens, int64_t vocab_size) {
  if (static_cast<int64_t>(num_tokens) < vocab_size)
    log_warning("data", "the training data gives a vocabulary of only ", num_tokens,
                " tokens, not ", vocab_size, ": no two neighbours occur twice any more");
}

}  // namespace triga
