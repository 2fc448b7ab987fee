// Finding documents in files, and reading them.
#include "data/text_source.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>

#include "base/files.h"
#include "base/utf8.h"
#include "data/file_list.h"
#include "data/fingerprint.h"
#include "triga/error.h"

namespace triga {
namespace {

/// Runs `f`; a file that cannot be read is an error of the data.
template <class F>
auto as_data(const F& f) {
  try {
    return f();
  } catch (const FileError& error) {
    throw DataError(error.what());
  }
}

int64_t size_of(const std::string& file) {
  return as_data([&] { return static_cast<int64_t>(posix_files().size(file)); });
}

std::string read_file(const std::string& file, int64_t size) {
  const std::string bytes = as_data([&] { return read_text(posix_files(), file); });
  if (static_cast<int64_t>(bytes.size()) != size)
    throw DataError(
        c10::str(file, ": changed since the start, from ", size, " to ", bytes.size(), " bytes"));
  if (const auto at = find_invalid_utf8(bytes))
    throw DataError(c10::str(file, ": not UTF-8 text: byte ", *at, " is ",
                             fmt::format("{:#04x}", static_cast<unsigned char>(bytes[*at])),
                             ". Convert the file (iconv -t UTF-8), or leave it out of `files`."));
  return bytes;
}

bool is_continuation(char byte) {
  return (static_cast<unsigned char>(byte) & 0xC0) == 0x80;
}

std::string list_some(const std::vector<std::string>& files) {
  std::string text;
  for (size_t i = 0; i < files.size() && i < 3; ++i) text += c10::str(i == 0 ? "" : ", ", files[i]);
  if (files.size() > 3) text += c10::str(" and ", files.size() - 3, " more");
  return text;
}

}  // namespace

TextSource::TextSource(const TextSourceOptions& options) : files_(expand_files(options.files)) {
  TRIGA_CHECK(0 <= options.from && options.from < options.to && options.to <= 1, "from ",
              options.from, " to ", options.to);
  for (const auto& file : files_) sizes_.push_back(size_of(file));
  // A folder of sources has empty files, and they harm nothing; one that is named is a mistake.
  for (const auto& pattern : options.files)
    if (std::filesystem::is_regular_file(pattern) && size_of(pattern) == 0)
      throw DataError(c10::str(pattern, ": is empty"));
  find_documents(options);
  if (documents_.empty())
    throw DataError(c10::str("no text in ", list_some(files_), ": all blank"));
  take(options.from, options.to);
  if (documents_.empty())
    throw DataError(c10::str("take {from: ", options.from, ", to: ", options.to,
                             "} leaves nothing of ", list_some(files_),
                             ": no document begins in that part of their bytes"));
}

void TextSource::find_documents(const TextSourceOptions& options) {
  for (size_t file = 0; file < files_.size(); ++file) {
    if (options.document == TextSourceOptions::Document::kFile) {
      if (sizes_[file] > 0) documents_.push_back({file, 0, sizes_[file]});
      continue;
    }
    const std::string_view bytes = contents(file);
    for (size_t begin = 0; begin < bytes.size();) {
      const size_t line_end = std::min(bytes.find('\n', begin), bytes.size());
      const size_t end = line_end > begin && bytes[line_end - 1] == '\r' ? line_end - 1 : line_end;
      if (bytes.substr(begin, end - begin).find_first_not_of(" \t\r\f\v") != std::string_view::npos)
        documents_.push_back({file, static_cast<int64_t>(begin), static_cast<int64_t>(end)});
      begin = line_end + 1;
    }
  }
}

void TextSource::take(double from, double to) {
  std::vector<int64_t> first_bytes;  // [file] of all files one after the other
  int64_t total = 0;
  for (int64_t size : sizes_) {
    first_bytes.push_back(total);
    total += size;
  }
  // The same fraction gives the same byte in every split, so parts that touch neither overlap nor
  // leave a gap.
  const auto byte_at = [total](double fraction) {
    return static_cast<int64_t>(std::floor(fraction * static_cast<double>(total)));
  };
  const int64_t begin = byte_at(from), end = to == 1 ? total : byte_at(to);
  if (documents_.size() == 1) {
    const int64_t first_byte = first_bytes[documents_[0].file];
    return cut_single_document(begin - first_byte, end - first_byte);
  }
  std::erase_if(documents_, [&](const Piece& piece) {
    const int64_t start = first_bytes[piece.file] + piece.begin;
    return start < begin || start >= end;
  });
}

void TextSource::cut_single_document(int64_t from, int64_t to) {
  Piece& piece = documents_[0];
  const std::string_view bytes = contents(piece.file);
  const auto cut = [&](int64_t at) {
    at = std::clamp(at, piece.begin, piece.end);
    while (at < piece.end && is_continuation(bytes[static_cast<size_t>(at)])) ++at;
    return at;
  };
  const Piece part{piece.file, cut(from), cut(to)};
  piece = part;
  if (piece.begin == piece.end) documents_.clear();
}

std::string_view TextSource::document(int64_t index) const {
  TRIGA_CHECK(0 <= index && index < size(), "document ", index, " of ", size());
  const Piece& piece = documents_[static_cast<size_t>(index)];
  return contents(piece.file)
      .substr(static_cast<size_t>(piece.begin), static_cast<size_t>(piece.end - piece.begin));
}

std::string_view TextSource::contents(size_t file) const {
  std::unique_lock lock(mutex_);
  Contents& last =
      last_read_.try_emplace(std::this_thread::get_id(), Contents{files_.size(), ""}).first->second;
  lock.unlock();  // the entry is this thread's own, and the map never moves its entries
  if (last.file != file) {
    last.file = files_.size();
    last.bytes = read_file(files_[file], sizes_[file]);
    last.file = file;
  }
  return last.bytes;
}

std::string TextSource::fingerprint() const {
  Fingerprint fingerprint;
  for (int64_t i = 0; i < size(); ++i) fingerprint.add(document(i));
  return fingerprint.text();
}

}  // namespace triga
