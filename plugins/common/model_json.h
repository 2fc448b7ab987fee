// config.json of a model directory: read, and compared with an experiment's options.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace triga::common {

using Json = nlohmann::ordered_json;

/// The config.json among the files of a model directory. Throws: CheckpointError when it is
/// missing, no JSON object, or of another model_type than the one that kind `kind` reads.
Json parse_config_json(const std::map<std::string, std::string>& files, const std::string& kind,
                       const std::string& model_type);

/// Adds the names of classes to a config.json, as transformers calls classes without a name:
/// LABEL_0, LABEL_1, ...
void add_labels(Json& config, int64_t num_labels);

/// Collects the values that differ, a line each.
class ConfigComparison {
 public:
  /// `stored` must outlive it.
  explicit ConfigComparison(const Json& stored) : stored_(stored) {}

  /// `default_value`: of a key that a config.json leaves out.
  template <class T>
  void expect(const char* option, const T& ours, const char* key, const T& default_value) {
    const auto it = stored_.find(key);
    const Json theirs = it == stored_.end() ? Json(default_value) : *it;
    if (theirs != Json(ours)) add(option, Json(ours).dump(), theirs.dump(), key);
  }

  /// Every key of `ours`, which are the options' own names, but for `ignored`.
  void expect_all(const Json& ours, std::initializer_list<std::string_view> ignored);

  /// Throws: ConfigError with all of them, if there are any.
  void throw_if_any() const;

 private:
  void add(const char* option, const std::string& ours, const std::string& theirs, const char* key);

  const Json& stored_;
  std::string differences_;
};

}  // namespace triga::common
