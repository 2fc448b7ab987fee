// Characters newer than the tables of the library that wrote the first vocabularies' files are to it
// no signs, no accents and no control characters; their ages say which those are. A few characters
// changed their category since, and are named here.
#include "data/bert_text.h"

#include <unicode/uchar.h>
#include <unicode/unorm2.h>
#include <unicode/utf16.h>
#include <unicode/utf8.h>

#include <algorithm>
#include <vector>

#include "triga/error.h"

namespace triga {
namespace {

constexpr int kCategoriesOfUnicode = 8, kCanonicalFormsOfUnicode = 9;

bool is_known(UChar32 character, int unicode) {
  UVersionInfo age;
  u_charAge(character, age);
  return age[0] >= 1 && age[0] <= unicode;
}

bool is_space(UChar32 character) {
  if (character < 128) return character == ' ' || ('\t' <= character && character <= '\r');
  return u_isUWhiteSpace(character);
}

bool is_control(UChar32 character) {
  if (character == '\t' || character == '\n' || character == '\r') return false;
  constexpr auto kControl = U_GC_CC_MASK | U_GC_CF_MASK | U_GC_CO_MASK;
  return (U_MASK(u_charType(character)) & kControl) != 0 &&
         is_known(character, kCategoriesOfUnicode);
}

bool is_sign(UChar32 character) {
  if (character < 128) {
    const UChar32 letter = character | ('a' - 'A');
    return character > ' ' && character < 0x7F && !('0' <= character && character <= '9') &&
           !('a' <= letter && letter <= 'z');
  }
  if (character == 0x166D || character == 0x111C9) return true;
  return (U_MASK(u_charType(character)) & U_GC_P_MASK) != 0 &&
         is_known(character, kCategoriesOfUnicode);
}

bool is_accent(UChar32 character) {
  if (character == 0x1734) return true;
  if (character == 0x1885 || character == 0x1886 || character == 0xA9BD || character == 0x111C9)
    return false;
  return u_charType(character) == U_NON_SPACING_MARK && is_known(character, kCategoriesOfUnicode);
}

bool is_ideograph(UChar32 character) {
  constexpr UChar32 kRanges[][2] = {{0x3400, 0x4DBF},   {0x4E00, 0x9FFF},   {0xF900, 0xFAFF},
                                    {0x20000, 0x2A6DF}, {0x2A700, 0x2B81F}, {0x2B920, 0x2CEAF},
                                    {0x2F800, 0x2FA1F}};
  for (const auto& [first, last] : kRanges)
    if (first <= character && character <= last) return true;
  return false;
}

const UNormalizer2* decomposing_normalizer() {
  UErrorCode error = U_ZERO_ERROR;
  const UNormalizer2* normalizer = unorm2_getNFDInstance(&error);
  TRIGA_CHECK(U_SUCCESS(error), "ICU has no NFD: ", u_errorName(error));
  return normalizer;
}

/// Writes one text, character by character.
class Normalization {
 public:
  Normalization(const BertText& options, std::string& text)
      : options_(options), strips_accents_(options.strips_accents()), text_(text) {}

  /// Requires: ASCII.
  void add_byte(char byte) {
    if (options_.clean_text) {
      if (byte == '\t' || byte == '\n' || byte == '\r') byte = ' ';
      if (static_cast<unsigned char>(byte) < ' ' || byte == '\x7F') return;
    }
    write_marks();
    if (options_.lowercase && 'A' <= byte && byte <= 'Z') byte += 'a' - 'A';
    text_ += byte;
  }

  void add(UChar32 character) {
    if (options_.clean_text) {
      if (character == 0xFFFD || is_control(character)) return;
      if (is_space(character)) character = ' ';
    }
    const bool stands_alone = options_.handle_chinese_chars && is_ideograph(character);
    if (stands_alone) add_byte(' ');
    if (strips_accents_)
      decompose(character);
    else
      write(character);
    if (stands_alone) add_byte(' ');
  }

  /// Marks that wait for their order.
  void write_marks() {
    if (marks_.empty()) return;
    std::stable_sort(marks_.begin(), marks_.end(), [](const Mark& left, const Mark& right) {
      return left.combining_class < right.combining_class;
    });
    for (const Mark& mark : marks_) write(mark.character);
    marks_.clear();
  }

 private:
  struct Mark {
    UChar32 character;
    uint8_t combining_class;
  };

  void decompose(UChar32 character) {
    static const UNormalizer2* const kNormalizer = decomposing_normalizer();
    UChar parts[32];  // Unicode's longest has 4
    UErrorCode error = U_ZERO_ERROR;
    const bool is_in_tables = is_known(character, kCanonicalFormsOfUnicode);
    const int32_t count =
        is_in_tables ? unorm2_getDecomposition(kNormalizer, character, parts, 32, &error) : -1;
    TRIGA_CHECK(U_SUCCESS(error), u_errorName(error));
    if (count < 0) return order(character, is_in_tables ? u_getCombiningClass(character) : 0);
    for (int32_t i = 0; i < count;) {
      UChar32 part;
      U16_NEXT(parts, i, count, part);
      order(part, u_getCombiningClass(part));
    }
  }

  /// Marks of one character come in the order of their classes; class 0 begins anew. Accents go.
  void order(UChar32 character, uint8_t combining_class) {
    if (combining_class == 0) write_marks();
    if (is_accent(character)) return;
    if (combining_class == 0)
      write(character);
    else
      marks_.push_back({character, combining_class});
  }

  void write(UChar32 character) {
    if (options_.lowercase && character == 0x130) {  // the only one that becomes two
      append('i');
      character = 0x307;
    }
    append(options_.lowercase ? u_tolower(character) : character);
  }

  void append(UChar32 character) {
    char bytes[U8_MAX_LENGTH];
    size_t length = 0;
    U8_APPEND_UNSAFE(bytes, length, character);
    text_.append(bytes, length);
  }

  const BertText& options_;
  const bool strips_accents_;
  std::string& text_;
  std::vector<Mark> marks_;
};

}  // namespace

std::string BertText::normalize(std::string_view text) const {
  std::string normalized;
  normalized.reserve(text.size());
  Normalization normalization(*this, normalized);
  for (size_t at = 0; at < text.size();) {
    if (static_cast<unsigned char>(text[at]) < 128) {
      normalization.add_byte(text[at++]);
      continue;
    }
    UChar32 character;
    U8_NEXT(text.data(), at, text.size(), character);
    normalization.add(character);
  }
  normalization.write_marks();
  return normalized;
}

void for_each_bert_word(std::string_view text, const std::function<void(std::string_view)>& visit) {
  size_t word = 0;  // where it begins
  const auto end_word = [&](size_t end) {
    if (end > word) visit(text.substr(word, end - word));
  };
  for (size_t at = 0; at < text.size();) {
    const size_t begin = at;
    UChar32 character = static_cast<unsigned char>(text[at]);
    if (character < 128)
      ++at;
    else
      U8_NEXT(text.data(), at, text.size(), character);
    const bool sign = is_sign(character);
    if (!sign && !is_space(character)) continue;
    end_word(begin);
    if (sign) visit(text.substr(begin, at - begin));
    word = at;
  }
  end_word(text.size());
}

}  // namespace triga
