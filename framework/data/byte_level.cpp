#include "data/byte_level.h"

#include <unicode/uchar.h>
#include <unicode/utf8.h>

#include <unordered_map>

namespace triga {
namespace {

enum class Category { kLetter, kNumber, kSpace, kOther };

Category category_of(UChar32 character) {
  const auto mask = U_MASK(u_charType(character));
  if (mask & U_GC_L_MASK) return Category::kLetter;
  if (mask & U_GC_N_MASK) return Category::kNumber;
  return u_isUWhiteSpace(character) ? Category::kSpace : Category::kOther;
}

std::array<Category, 128> categories_of_ascii() {
  std::array<Category, 128> categories;
  for (size_t i = 0; i < categories.size(); ++i)
    categories[i] = category_of(static_cast<UChar32>(i));
  return categories;
}

struct Character {
  Category category;
  size_t end;  // byte after it
};

/// Requires: begin < text.size().
Character character_at(std::string_view text, size_t begin) {
  static const std::array<Category, 128> kAscii = categories_of_ascii();
  const auto byte = static_cast<unsigned char>(text[begin]);
  if (byte < 128) return {kAscii[byte], begin + 1};
  UChar32 character;
  size_t end = begin;
  U8_NEXT(text.data(), end, text.size(), character);
  return {category_of(character), end};
}

size_t end_of_run(std::string_view text, size_t begin, Category category) {
  while (begin < text.size()) {
    const Character character = character_at(text, begin);
    if (character.category != category) break;
    begin = character.end;
  }
  return begin;
}

/// Bytes of the English ending that the text begins with, or 0.
size_t length_of_ending(std::string_view text) {
  if (text.empty() || text[0] != '\'') return 0;
  for (const std::string_view ending : {"'s", "'t", "'re", "'ve", "'m", "'ll", "'d"})
    if (text.starts_with(ending)) return ending.size();
  return 0;
}

size_t end_of_piece(std::string_view text, size_t begin) {
  if (const size_t length = length_of_ending(text.substr(begin))) return begin + length;
  const Character first = character_at(text, begin);
  if (first.category != Category::kSpace) return end_of_run(text, first.end, first.category);
  if (text[begin] == ' ' && first.end < text.size()) {
    const Character second = character_at(text, first.end);
    if (second.category != Category::kSpace) return end_of_run(text, second.end, second.category);
  }
  // Of several spaces before a word, the last one is left to it.
  size_t last = begin, end = first.end;
  while (end < text.size()) {
    const Character character = character_at(text, end);
    if (character.category != Category::kSpace) return last == begin ? end : last;
    last = end;
    end = character.end;
  }
  return end;
}

/// UTF-8 of a code point below 0x800.
std::string utf8_of(int code_point) {
  if (code_point < 0x80) return {static_cast<char>(code_point)};
  return {static_cast<char>(0xC0 | code_point >> 6), static_cast<char>(0x80 | (code_point & 0x3F))};
}

std::array<std::string, 256> make_byte_names() {
  std::array<std::string, 256> names;
  int next = 0x100;
  for (int byte = 0; byte < 256; ++byte) {
    const bool is_printable =
        (byte >= '!' && byte <= '~') || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
    names[static_cast<size_t>(byte)] = utf8_of(is_printable ? byte : next++);
  }
  return names;
}

std::unordered_map<std::string_view, char> make_bytes_by_name() {
  std::unordered_map<std::string_view, char> bytes;
  for (size_t byte = 0; byte < 256; ++byte) bytes[byte_names()[byte]] = static_cast<char>(byte);
  return bytes;
}

}  // namespace

const std::array<std::string, 256>& byte_names() {
  static const std::array<std::string, 256> kNames = make_byte_names();
  return kNames;
}

std::string name_of_bytes(std::string_view bytes) {
  std::string name;
  for (const char byte : bytes) name += byte_names()[static_cast<unsigned char>(byte)];
  return name;
}

std::optional<std::string> bytes_of_name(std::string_view name) {
  static const std::unordered_map<std::string_view, char> kBytes = make_bytes_by_name();
  std::string bytes;
  while (!name.empty()) {
    const size_t length = static_cast<unsigned char>(name[0]) < 0x80 ? 1 : 2;
    const auto found = kBytes.find(name.substr(0, length));
    if (found == kBytes.end()) return std::nullopt;
    bytes += found->second;
    name.remove_prefix(length);
  }
  return bytes;
}

void for_each_piece(std::string_view text, const std::function<void(std::string_view)>& visit) {
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = end_of_piece(text, begin);
    visit(text.substr(begin, end - begin));
    begin = end;
  }
}

}  // namespace triga
