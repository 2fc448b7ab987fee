// Kind `vit_classifier`: class of an image by a Transformer over its patches (Dosovitskiy et al., "An
// Image is Worth 16x16 Words", 2021), with the names and numerics of transformers'
// ViTForImageClassification.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "triga/architecture.h"
#include "triga/config.h"

namespace triga::transformer {

struct VitConfig {
  int64_t image_size = 224;
  int64_t patch_size = 16;
  int64_t num_channels = 3;
  int64_t num_labels = 2;
  int64_t num_layers = 12;
  int64_t num_heads = 12;
  int64_t hidden_size = 768;
  int64_t intermediate_size = 3072;
  double dropout = 0.0;
  double attention_dropout = 0.0;
  double layer_norm_epsilon = 1e-12;
  double initializer_range = 0.02;
  int64_t shift = 0;
  bool flip = false;

  int64_t num_patches() const { return (image_size / patch_size) * (image_size / patch_size); }
};

void describe(Fields& fields, VitConfig& config);

/// config.json and preprocessor_config.json.
std::map<std::string, std::string> vit_files(const VitConfig& config);
/// Names of tensors as files have them: those of a ViTModel lack the prefix `vit.`, and have a pooler
/// that the classifier does not use (nothing).
std::optional<std::string> vit_parameter_name(const std::string& stored_name);
/// Throws: ConfigError that names each value in which config.json differs; CheckpointError when it
/// is missing, not JSON, or of another architecture.
void check_vit_files(const VitConfig& config, const std::map<std::string, std::string>& files);

class Vit final : public Architecture {
 public:
  explicit Vit(const VitConfig& config) : config_(config) {}

  std::vector<LayerSpec> layers() const override;
  std::unique_ptr<Loss> loss() const override;
  /// Samples {"image": uint8 [C, H, W], "label": int64 []}. Gives "pixel_values" fp32 [B, C, H, W]
  /// from -1 to 1, in training shifted and flipped by the sample's position, and "labels" int64 [B].
  Batch collate(const std::vector<Sample>& samples, const CollateContext& context) const override;
  std::vector<std::unique_ptr<Metric>> metrics() const override;
  ModelDirectory model_directory() const override { return {.files = vit_files(config_)}; }
  void check_compatible(const std::map<std::string, std::string>& files) const override {
    check_vit_files(config_, files);
  }
  std::optional<std::string> parameter_name(const std::string& stored_name) const override {
    return vit_parameter_name(stored_name);
  }

 private:
  at::Tensor image_of(const Sample& sample) const;

  VitConfig config_;
};

}  // namespace triga::transformer
