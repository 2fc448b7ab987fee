// TextStream: shows a text while it grows. A token may end in the middle of a character, which the
// tokenizer decodes as U+FFFD until the rest has come; so those at the end are held back.
#pragma once

#include <functional>
#include <string_view>

namespace triga::common {

class TextStream {
 public:
  explicit TextStream(std::function<void(std::string_view)> print) : print_(std::move(print)) {}

  /// Prints what is new in `text`: all that was decoded so far, which earlier calls saw the start
  /// of.
  void update(std::string_view text);
  /// The same, with what was held back: no more will come.
  void finish(std::string_view text);

 private:
  std::function<void(std::string_view)> print_;
  size_t num_printed_ = 0;  // bytes of the text
};

}  // namespace triga::common
