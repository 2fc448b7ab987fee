#include "config/scalar.h"

#include <array>
#include <charconv>
#include <cmath>

namespace triga {
namespace {

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

size_t skip_digits(std::string_view text, size_t i) {
  while (i < text.size() && is_digit(text[i])) ++i;
  return i;
}

size_t skip_sign(std::string_view text) {
  return !text.empty() && (text[0] == '+' || text[0] == '-') ? 1 : 0;
}

bool is_based_integer(std::string_view text) {  // 0x1F, 0o17
  if (text.size() < 3 || text[0] != '0') return false;
  if (text[1] == 'x') return text.find_first_not_of("0123456789abcdefABCDEF", 2) == text.npos;
  if (text[1] == 'o') return text.find_first_not_of("01234567", 2) == text.npos;
  return false;
}

bool is_decimal_integer(std::string_view text) {
  const size_t begin = skip_sign(text);
  return begin < text.size() && skip_digits(text, begin) == text.size();
}

bool is_decimal_float(
    std::string_view text) {  // [-+]? ( \. [0-9]+ | [0-9]+ ( \. [0-9]* )? ) ( [eE] [-+]? [0-9]+ )?
  const size_t begin = skip_sign(text);
  size_t i = skip_digits(text, begin);
  const bool has_whole = i > begin;
  if (i < text.size() && text[i] == '.') {
    const size_t fraction = i + 1;
    i = skip_digits(text, fraction);
    if (!has_whole && i == fraction) return false;
  } else if (!has_whole) {
    return false;
  }
  if (i == text.size()) return true;
  if (text[i] != 'e' && text[i] != 'E') return false;
  ++i;
  if (i < text.size() && (text[i] == '+' || text[i] == '-')) ++i;
  return i < text.size() && skip_digits(text, i) == text.size();
}

bool is_special_float(std::string_view text) {
  const auto rest = text.substr(skip_sign(text));
  return rest == ".inf" || rest == ".Inf" || rest == ".INF" || text == ".nan" || text == ".NaN" ||
         text == ".NAN";
}

template <size_t N>
bool contains(const std::array<std::string_view, N>& words, std::string_view text) {
  for (auto word : words)
    if (word == text) return true;
  return false;
}

}  // namespace

ScalarType scalar_type(std::string_view text) {
  static constexpr std::array<std::string_view, 5> kNulls = {"", "~", "null", "Null", "NULL"};
  static constexpr std::array<std::string_view, 6> kBools = {"true",  "True",  "TRUE",
                                                             "false", "False", "FALSE"};
  if (contains(kNulls, text)) return ScalarType::kNull;
  if (contains(kBools, text)) return ScalarType::kBool;
  if (is_decimal_integer(text) || is_based_integer(text)) return ScalarType::kInteger;
  if (is_decimal_float(text) || is_special_float(text)) return ScalarType::kFloat;
  return ScalarType::kString;
}

std::optional<int64_t> parse_integer(std::string_view text) {
  int base = 10;
  if (is_based_integer(text)) {
    base = text[1] == 'x' ? 16 : 8;
    text.remove_prefix(2);
  } else if (!is_decimal_integer(text)) {
    return std::nullopt;
  } else if (text[0] == '+') {
    text.remove_prefix(1);  // from_chars takes no plus
  }
  int64_t value = 0;
  const auto result = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (result.ec != std::errc()) return std::nullopt;
  return value;
}

std::optional<double> parse_number(std::string_view text) {
  if (is_based_integer(text)) {
    const auto integer = parse_integer(text);
    return integer ? std::optional<double>(static_cast<double>(*integer)) : std::nullopt;
  }
  if (!is_decimal_integer(text) && !is_decimal_float(text)) return std::nullopt;
  if (text[0] == '+') text.remove_prefix(1);
  double value = 0;
  const auto result = std::from_chars(text.data(), text.data() + text.size(), value);
  if (result.ec != std::errc() || !std::isfinite(value)) return std::nullopt;
  return value;
}

std::string format_number(double value) {
  std::array<char, 32> buffer;
  const auto result = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value);
  return std::string(buffer.data(), result.ptr);
}

}  // namespace triga
