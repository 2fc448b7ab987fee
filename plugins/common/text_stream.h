// TextStream: shows a text while it grows. A token may end in the middle of a character, which the
// tokenizer decodes as U+FFFD until the rest has come; so those at the end are held back.
#pragma once

#include <functional>
#include <string_view>

namespace triga::common {

class TextStream {
 public:
  /// `num_known`: bytes at the start of the text that are not printed: those of a prompt.
  explicit TextStream(std::function<void(std::string_view)> print, size_t num_known = 0)
      : print_(std::move(print)), num_printed_(num_known) {}

  /// Prints what is new in `text`: all that was decoded so far, which earlier calls saw the start
  /// of.
  void update(std::string_view text);
  /// The same, with what was held back: no more will come.
  void finish(std::string_view text);

 private:
  std::function<void(std::string_view)> print_;
  size_t num_printed_;  // bytes of the text
};

}  // namespace triga::common
