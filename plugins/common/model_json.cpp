#include "common/model_json.h"

#include <c10/util/StringUtil.h>

#include <algorithm>

#include "triga/error.h"

namespace triga::common {

Json parse_config_json(const std::map<std::string, std::string>& files, const std::string& kind,
                       const std::string& model_type) {
  const auto file = files.find("config.json");
  if (file == files.end())
    throw CheckpointError("no config.json: a model directory has one beside its weights");
  Json stored = Json::parse(file->second, nullptr, /*allow_exceptions=*/false);
  if (!stored.is_object()) throw CheckpointError("config.json is not a JSON object");
  const auto type = stored.find("model_type");
  if (type == stored.end() || *type != model_type)
    throw CheckpointError(c10::str("config.json is of model_type ",
                                   type == stored.end() ? "(none)" : type->dump(), "; kind ", kind,
                                   " reads model_type \"", model_type, "\""));
  return stored;
}

void add_labels(Json& config, int64_t num_labels) {
  Json names = Json::object(), numbers = Json::object();
  for (int64_t i = 0; i < num_labels; ++i) {
    const std::string name = "LABEL_" + std::to_string(i);
    names[std::to_string(i)] = name;
    numbers[name] = i;
  }
  config["id2label"] = names;
  config["label2id"] = numbers;
}

void ConfigComparison::add(const char* option, const std::string& ours, const std::string& theirs,
                           const char* key) {
  differences_ += c10::str("\n  ", option, ": ", ours, " here, ", theirs, " there (", key, ")");
}

void ConfigComparison::expect_all(const Json& ours,
                                  std::initializer_list<std::string_view> ignored) {
  for (const auto& [key, value] : ours.items())
    if (std::find(ignored.begin(), ignored.end(), key) == ignored.end())
      expect<Json>(key.c_str(), value, key.c_str(), nullptr);
}

void ConfigComparison::throw_if_any() const {
  if (differences_.empty()) return;
  throw ConfigError(c10::str("the model differs from the one in config.json:", differences_,
                             "\nGive the experiment's model.config the values of config.json."));
}

}  // namespace triga::common
