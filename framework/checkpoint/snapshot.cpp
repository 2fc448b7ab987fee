#include "checkpoint/snapshot.h"

#include <algorithm>
#include <cmath>
#include <set>
#include <sstream>

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

/// Tensors that are written under one stem, spread over the ranks.
struct TensorSet {
  std::string folder, stem;
  std::vector<TensorsByName> shards;  // of this rank
};

/// In an order that all ranks have in common: they may have tensors of different sets.
std::vector<TensorSet> tensor_sets(const Snapshot& snapshot, uint64_t max_shard_bytes,
                                   const std::set<std::string>& training) {
  std::vector<TensorSet> sets;
  const auto shards_of = [&](const std::map<std::string, TensorsByName>& tensors,
                             const std::string& name) {
    const auto found = tensors.find(name);
    return found == tensors.end() ? std::vector<TensorsByName>()
                                  : split_shards(found->second, max_shard_bytes);
  };
  for (const ComponentFiles& component : snapshot.model.components)
    sets.push_back(
        {component.folder, component.weights, shards_of(snapshot.weights, component.component)});
  for (const std::string& stem : training)
    sets.push_back({"training", stem, shards_of(snapshot.training, stem)});
  return sets;
}

std::string to_text(const std::vector<TensorSet>& sets) {
  Json json = Json::array();
  for (const TensorSet& set : sets) {
    const ShardContents contents = contents_of(set.shards);
    json.push_back({{"names", contents.names}, {"bytes", contents.bytes}});
  }
  return json.dump();
}

/// [set][rank].
std::vector<std::vector<ShardContents>> contents_from(const std::vector<std::string>& texts,
                                                      size_t num_sets) {
  std::vector<std::vector<ShardContents>> contents(num_sets);
  for (const std::string& text : texts) {
    const Json json = parse_json(text, "what a rank writes");
    TRIGA_CHECK(json.size() == num_sets, "ranks write different sets of tensors");
    for (size_t set = 0; set < num_sets; ++set)
      contents[set].push_back({json[set]["names"].get<std::vector<std::vector<std::string>>>(),
                               json[set]["bytes"].get<uint64_t>()});
  }
  return contents;
}

std::set<std::string> training_stems(const Snapshot& snapshot, Communicator& ranks) {
  std::string mine;
  for (const auto& [stem, tensors] : snapshot.training) mine += stem + "\n";
  std::set<std::string> stems;
  for (const std::string& text : ranks.all_gather_text(mine, "tensors of the training state")) {
    std::istringstream lines(text);
    for (std::string stem; std::getline(lines, stem);) stems.insert(stem);
  }
  return stems;
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
               {"evaluated_step", state.evaluated_step},
               {"evaluations_without_improvement", state.evaluations_without_improvement},
               {"data", state.data},
               {"losses", state.losses},
               {"spikes_in_a_row", state.spikes_in_a_row},
               {"first_spike_step", state.first_spike_step},
               {"rollbacks", state.rollbacks},
               {"left_out_steps", state.left_out_steps},
               {"good_steps", state.good_steps},
               {"settled_rollbacks", state.settled_rollbacks}};
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
  state.evaluated_step = json_member<int64_t>(json, "evaluated_step", where);
  state.evaluations_without_improvement =
      json_member<int64_t>(json, "evaluations_without_improvement", where);
  state.data = json_member<std::map<std::string, std::string>>(json, "data", where);
  if (!json.contains("losses")) return state;  // as the first runs wrote it
  state.losses = json_member<std::vector<double>>(json, "losses", where);
  state.spikes_in_a_row = json_member<int64_t>(json, "spikes_in_a_row", where);
  state.first_spike_step = json_member<int64_t>(json, "first_spike_step", where);
  state.rollbacks = json_member<int64_t>(json, "rollbacks", where);
  state.left_out_steps = json_member<int64_t>(json, "left_out_steps", where);
  if (!json.contains("good_steps")) return state;  // as runs wrote it that counted all rollbacks
  state.good_steps = json_member<int64_t>(json, "good_steps", where);
  state.settled_rollbacks = json_member<int64_t>(json, "settled_rollbacks", where);
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

std::vector<CheckpointPart> parts_of(const Snapshot& snapshot, uint64_t max_shard_bytes,
                                     Communicator& ranks) {
  std::vector<TensorSet> sets =
      tensor_sets(snapshot, max_shard_bytes, training_stems(snapshot, ranks));
  const auto contents =
      contents_from(ranks.all_gather_text(to_text(sets), "files of the checkpoint"), sets.size());
  std::vector<CheckpointPart> parts;
  for (size_t i = 0; i < sets.size(); ++i) {
    TensorSet& set = sets[i];
    uint64_t num_tensors = 0;
    for (const ShardContents& one : contents[i]) num_tensors += one.names.size();
    TRIGA_CHECK(num_tensors > 0 || set.folder == "training", "no weights for component '",
                i < snapshot.model.components.size() ? snapshot.model.components[i].component : "",
                "'");
    ShardPlan plan = name_shards(std::move(set.shards), set.stem, static_cast<size_t>(ranks.rank()),
                                 contents[i]);
    for (auto& [name, shard] : plan.files)
      parts.push_back({join_path(set.folder, name), "", std::move(shard), /*is_tensors=*/true});
    if (!plan.index_name.empty())
      parts.push_back(text_part(join_path(set.folder, plan.index_name), plan.index));
  }
  for (const auto& weights : snapshot.weights)
    TRIGA_CHECK(std::any_of(snapshot.model.components.begin(), snapshot.model.components.end(),
                            [&](const auto& files) { return files.component == weights.first; }),
                "weights of a component that the model directory does not name");
  if (ranks.rank() == 0) {
    for (const auto& [name, content] : snapshot.model.files)
      parts.push_back(text_part(name, content));
    for (const auto& [name, content] : snapshot.files) parts.push_back(text_part(name, content));
    parts.push_back(text_part(kResolvedPath, snapshot.resolved));
    parts.push_back(text_part(kStatePath, to_json(snapshot.state)));
  }
  std::set<std::string> paths = {kManifestPath};
  for (const auto& part : parts)
    TRIGA_CHECK(is_path_inside(part.path) && paths.insert(part.path).second,
                "a part of a checkpoint cannot be called ", part.path);
  return parts;
}

}  // namespace triga
