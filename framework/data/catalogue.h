// The catalogue of data sets: experiments/data_catalogue.yaml. `triga data list` shows it, `triga
// data get NAME` fetches.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "data/download.h"
#include "triga/config.h"

namespace triga {

struct CatalogueFile {
  std::string path;               // after the data set's base_url
  std::optional<std::string> as;  // its place in the data set's folder; nothing: path
  int64_t size = 0;               // bytes
  std::string sha256;
};
void describe(Fields& fields, CatalogueFile& file);

struct DataSet {
  std::string description;
  std::string licence;
  std::string home;      // where people read about it
  std::string base_url;  // ends with a slash
  std::vector<CatalogueFile> files;

  int64_t num_bytes() const;
};
void describe(Fields& fields, DataSet& data_set);

struct Catalogue {
  std::map<std::string, DataSet> data_sets;  // by name

  /// Throws: DataError that lists the names there are.
  const DataSet& find(const std::string& name) const;
};
void describe(Fields& fields, Catalogue& catalogue);

/// All files of the data set are in `folder`, by their sizes.
bool is_complete(const DataSet& data_set, const Path& folder);

/// What fetch_data_set tells while it works.
struct FetchProgress {
  std::string file;        // its place in the folder
  int64_t bytes_done = 0;  // of all files
  int64_t num_bytes = 0;
};

/// Makes all files of the data set in `folder`; those that are there are checked.
/// `options.progress` is not used. Throws: DataError.
void fetch_data_set(const DataSet& data_set, const Path& folder, const DownloadOptions& options,
                    const std::function<void(const FetchProgress&)>& progress);

}  // namespace triga
