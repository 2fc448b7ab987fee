// UTF-8: whether bytes are text, and text for display from bytes that may not be.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace triga {

/// Offset of the first byte that does not belong to well-formed UTF-8 (Unicode 15, table 3-7);
/// nothing: all of it does.
std::optional<size_t> find_invalid_utf8(std::string_view bytes);

/// The text behind a byte order mark, with which some editors and spreadsheets begin a file.
std::string_view without_byte_order_mark(std::string_view text);

/// The text with U+FFFD for each maximal part that is not well-formed, as Python's
/// `errors="replace"` does.
std::string replace_invalid_utf8(std::string_view bytes);

}  // namespace triga
