#include "data/catalogue.h"

#include <algorithm>

#include "triga/error.h"

namespace triga {
namespace {

const std::string& place_of(const CatalogueFile& file) {
  return file.as ? *file.as : file.path;
}

/// A path that stays in its folder.
bool is_inside(const std::string& path) {
  const Path parsed(path);
  return parsed.is_relative() && std::find(parsed.begin(), parsed.end(), "..") == parsed.end() &&
         parsed.has_filename();
}

bool is_sha256(const std::string& text) {
  return text.size() == 64 && text.find_first_not_of("0123456789abcdef") == std::string::npos;
}

}  // namespace

void describe(Fields& fields, CatalogueFile& file) {
  fields.field("path", file.path)
      .help("Address of the file after the data set's base_url.")
      .required();
  fields.field("as", file.as).help("Place of the file in the data set's folder; default: path.");
  fields.field("size", file.size).help("Size of the file.").unit("bytes").at_least(1).required();
  fields.field("sha256", file.sha256)
      .help("SHA-256 of the file, 64 hexadecimal digits in lower case.")
      .required();
  fields.rule("as", [&file]() -> std::optional<std::string> {
    if (is_inside(place_of(file))) return std::nullopt;
    return c10::str("'", place_of(file), "' is not a path inside the data set's folder");
  });
  fields.rule("sha256", [&file]() -> std::optional<std::string> {
    if (is_sha256(file.sha256)) return std::nullopt;
    return "not 64 hexadecimal digits in lower case";
  });
}

void describe(Fields& fields, DataSet& data_set) {
  fields.field("description", data_set.description).help("What it is, in a sentence.").required();
  fields.field("licence", data_set.licence)
      .help("Under which terms it may be used; `none stated`.")
      .required();
  fields.field("home", data_set.home).help("Where people read about it.").required();
  fields.field("base_url", data_set.base_url)
      .help("What the addresses of all files begin with; ends with /.")
      .required();
  fields.field("files", data_set.files).help("Its files.").required();
  fields.rule("base_url", [&data_set]() -> std::optional<std::string> {
    const std::string& url = data_set.base_url;
    if ((url.starts_with("https://") || url.starts_with("http://")) && url.ends_with('/'))
      return std::nullopt;
    return "not an address that begins with https:// or http:// and ends with /";
  });
}

void describe(Fields& fields, Catalogue& catalogue) {
  fields.field("data_sets", catalogue.data_sets).help("The data sets by name.").required();
}

int64_t DataSet::num_bytes() const {
  int64_t sum = 0;
  for (const auto& file : files) sum += file.size;
  return sum;
}

const DataSet& Catalogue::find(const std::string& name) const {
  const auto found = data_sets.find(name);
  if (found != data_sets.end()) return found->second;
  std::string names;
  for (const auto& [each, data_set] : data_sets) names += c10::str(names.empty() ? "" : ", ", each);
  throw DataError(c10::str("no data set '", name, "' in the catalogue; there are: ", names));
}

bool is_complete(const DataSet& data_set, const Path& folder) {
  return std::all_of(data_set.files.begin(), data_set.files.end(), [&](const CatalogueFile& file) {
    const Path path = folder / place_of(file);
    return exists(posix_files(), path) &&
           posix_files().size(path) == static_cast<uint64_t>(file.size);
  });
}

void fetch_data_set(const DataSet& data_set, const Path& folder, const DownloadOptions& options,
                    const std::function<void(const FetchProgress&)>& progress) {
  FetchProgress now{.file = "", .bytes_done = 0, .num_bytes = data_set.num_bytes()};
  int64_t bytes_before = 0;
  for (const auto& file : data_set.files) {
    now.file = place_of(file);
    DownloadOptions file_options = options;
    file_options.progress = [&](int64_t bytes_done) {
      now.bytes_done = bytes_before + bytes_done;
      progress(now);
    };
    download({.url = data_set.base_url + file.path, .sha256 = file.sha256, .size = file.size},
             folder / now.file, file_options);
    bytes_before += file.size;
    file_options.progress(0);  // of the next
  }
}

}  // namespace triga
