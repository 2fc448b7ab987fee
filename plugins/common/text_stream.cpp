#include "common/text_stream.h"

namespace triga::common {

namespace {
constexpr std::string_view kReplacement = "\xEF\xBF\xBD";  // U+FFFD
}

void TextStream::update(std::string_view text) {
  while (text.ends_with(kReplacement)) text.remove_suffix(kReplacement.size());
  finish(text);
}

void TextStream::finish(std::string_view text) {
  if (text.size() <= num_printed_) return;
  print_(text.substr(num_printed_));
  num_printed_ = text.size();
}

}  // namespace triga::common
