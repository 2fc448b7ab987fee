// Byte-level tokens: what tokenizers of bytes share. A vocabulary names each byte by a printable
// character, and a text is cut into pieces (words with the space before them, numbers, runs of
// other signs) that no token crosses. Both as in GPT-2 (Radford et al. 2019).
#pragma once

#include <array>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace triga {

/// [byte] its name in a vocabulary, UTF-8: printable ones of Latin-1 stand for themselves, the
/// others are in order U+0100, U+0101, ...
const std::array<std::string, 256>& byte_names();

/// The name of bytes, each as above.
std::string name_of_bytes(std::string_view bytes);

/// The bytes that a name stands for; nothing when a character of it names no byte.
std::optional<std::string> bytes_of_name(std::string_view name);

/// Visits the pieces of a text in order; together they are the text. They are the matches of
/// `'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`. Requires: UTF-8.
void for_each_piece(std::string_view text, const std::function<void(std::string_view)>& visit);

}  // namespace triga
