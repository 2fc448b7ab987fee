#include "checkpoint/snapshot.h"

#include <cmath>
#include <set>

#include <fmt/format.h>

#include "checkpoint/json.h"
#include "checkpoint/manifest.h"
#include "checkpoint/tensor_files.h"

namespace triga {
namespace {

// What transformers and diffusers ask for before they take a file as PyTorch's.
const Metadata kTensorMetadata = {{"format", "pt"}};

std::string join_path(const std::string& folder, const std::string& name) {
  return folder.empty() ? name : folder + "/" + name;
}

CheckpointPart text_part(std::string path, std::string text) {
  return {std::move(path), std::move(text), {}, false};
}

void add_tensors(std::vector<CheckpointPart>& parts, const std::string& folder,
                 const std::string& stem, const TensorsByName& tensors, uint64_t max_shard_bytes) {
  auto plan = plan_shards(tensors, stem, max_shard_bytes);
  for (auto& [name, shard] : plan.files)
    parts.push_back({join_path(folder, name), "", std::move(shard), /*is_tensors=*/true});
  if (!plan.index_name.empty())
    parts.push_back(text_part(join_path(folder, plan.index_name), plan.index));
}

}  // namespace

std::string to_json(const TrainingState& state) {
  Json json = {{"step", state.step},
               {"epoch", state.epoch},
               {"position", state.position},
               {"samples", state.samples},
               {"tokens", state.tokens},
               {"skipped_steps", state.skipped_steps},
               {"skipped_in_a_row", state.skipped_in_a_row},
               {"train_seconds", state.train_seconds},
               {"best_value", nullptr},
               {"best_step", state.best_step},
               {"evaluations_without_improvement", state.evaluations_without_improvement}};
  if (state.best_value && std::isfinite(*state.best_value)) json["best_value"] = *state.best_value;
  return json.dump(2) + "\n";
}

TrainingState training_state_from_json(const std::string& text, const std::string& where) {
  const Json json = parse_json(text, where);
  TrainingState state;
  state.step = json_member<int64_t>(json, "step", where);
  state.epoch = json_member<int64_t>(json, "epoch", where);
  state.position = json_member<int64_t>(json, "position", where);
  state.samples = json_member<int64_t>(json, "samples", where);
  state.tokens = json_member<int64_t>(json, "tokens", where);
  state.skipped_steps = json_member<int64_t>(json, "skipped_steps", where);
  state.skipped_in_a_row = json_member<int64_t>(json, "skipped_in_a_row", where);
  state.train_seconds = json_member<double>(json, "train_seconds", where);
  if (json.contains("best_value") && !json["best_value"].is_null())
    state.best_value = json_member<double>(json, "best_value", where);
  state.best_step = json_member<int64_t>(json, "best_step", where);
  state.evaluations_without_improvement =
      json_member<int64_t>(json, "evaluations_without_improvement", where);
  return state;
}

uint64_t CheckpointPart::bytes() const {
  return is_tensors ? safetensors_bytes(tensors, kTensorMetadata) : text.size();
}

void CheckpointPart::write(ChecksummedFile& file) const {
  if (is_tensors) {
    write_safetensors(file, tensors, kTensorMetadata);
  } else {
    file.append(text);
  }
}

std::vector<CheckpointPart> parts_of(const Snapshot& snapshot, uint64_t max_shard_bytes) {
  std::vector<CheckpointPart> parts;
  for (const auto& [name, content] : snapshot.model.files)
    parts.push_back(text_part(name, content));
  for (const auto& [name, content] : snapshot.files) parts.push_back(text_part(name, content));
  for (const auto& component : snapshot.model.components) {
    const auto weights = snapshot.weights.find(component.component);
    TRIGA_CHECK(weights != snapshot.weights.end(), "no weights for component '",
                component.component, "'");
    add_tensors(parts, component.folder, component.weights, weights->second, max_shard_bytes);
  }
  TRIGA_CHECK(snapshot.weights.size() == snapshot.model.components.size(),
              "weights of a component that the model directory does not name");
  for (const auto& [stem, tensors] : snapshot.training)
    add_tensors(parts, "training", stem, tensors, max_shard_bytes);
  parts.push_back(text_part(kResolvedPath, snapshot.resolved));
  parts.push_back(text_part(kStatePath, to_json(snapshot.state)));

  std::set<std::string> paths = {kManifestPath};
  for (const auto& part : parts)
    TRIGA_CHECK(is_path_inside(part.path) && paths.insert(part.path).second,
                "a part of a checkpoint cannot be called ", part.path);
  return parts;
}

}  // namespace triga
