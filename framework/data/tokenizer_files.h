// The files that a tokenizer is read from, and a vocabulary that is learned where there are none:
// what tokenizer kinds share.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/files.h"
#include "data/fingerprint.h"
#include "triga/config.h"
#include "triga/tokenizer.h"

namespace triga {

/// A tokenizer is either read (`from`) or learned (`vocab_size`): what is wrong with what is given.
std::optional<std::string> problem_of_source(const std::optional<ConfigPath>& from,
                                             const std::optional<int64_t>& vocab_size);

/// A file's text. Throws: ConfigError.
std::string read_tokenizer_file(const Path& path);

/// Those of the names that lie in the folder. Throws: ConfigError.
std::map<std::string, std::string> read_tokenizer_files(const Path& folder,
                                                        const std::vector<std::string>& names);

/// Those of the names that are there.
std::map<std::string, std::string> files_named(const std::map<std::string, std::string>& files,
                                               const std::vector<std::string>& names);

/// Visits the texts of the training data as UTF-8, with U+FFFD for what is not.
void for_each_training_text(const TokenizerContext& context,
                            const std::function<void(std::string_view)>& visit);

/// What `learn` gives: the text of a file that holds a vocabulary learned from the training data. It
/// is kept in the cache under `options`, which holds all else that it depends on, and the data.
/// Throws: ConfigError when there are no data, and what `learn` throws.
std::string learned_vocabulary(const TokenizerContext& context, Fingerprint options,
                               const std::function<std::string()>& learn);

/// Says so when the data gave fewer tokens than were asked for.
void warn_of_small_vocabulary(size_t num_tokens, int64_t vocab_size);

}  // namespace triga
