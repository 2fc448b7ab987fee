// Utf8Stream: pieces of bytes in, whole characters out. A token may end in the middle of a
// character, and a model of bytes may write anything; what is printed is always valid UTF-8, with
// U+FFFD in place of what is not.
#pragma once

#include <string>
#include <string_view>

namespace triga::common {

class Utf8Stream {
 public:
  /// The characters that are whole now; what may still become one is kept for the next call.
  std::string add(std::string_view bytes);
  /// What is left, as replacement characters.
  std::string finish();

 private:
  std::string pending_;  // the start of one character, at most 3 bytes, valid so far
};

}  // namespace triga::common
