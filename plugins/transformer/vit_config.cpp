// The options of kind `vit_classifier`, and transformers' JSON files that say the same.
#include <c10/util/StringUtil.h>

#include "common/model_json.h"
#include "transformer/vit.h"

namespace triga::transformer {
using common::Json;

void describe(Fields& fields, VitConfig& config) {
  fields.field("image_size", config.image_size)
      .help("Height and width of the images.")
      .unit("pixels")
      .at_least(1)
      .known_as({"img_size", "resolution"});
  fields.field("patch_size", config.patch_size)
      .help("Height and width of the squares that an image is cut into; a divisor of image_size.")
      .unit("pixels")
      .at_least(1);
  fields.field("num_channels", config.num_channels)
      .help("Channels of the images: 1 grey, 3 colour.")
      .at_least(1)
      .known_as({"in_channels", "in_chans"});
  fields.field("num_labels", config.num_labels)
      .help("Classes to tell apart.")
      .at_least(2)
      .known_as({"num_classes", "n_classes"});
  fields.field("num_layers", config.num_layers)
      .help("Number of transformer blocks.")
      .at_least(1)
      .known_as({"num_hidden_layers", "depth", "n_layer"});
  fields.field("num_heads", config.num_heads)
      .help("Attention heads of a block; hidden_size is a multiple of it.")
      .at_least(1)
      .known_as({"num_attention_heads", "n_head"});
  fields.field("hidden_size", config.hidden_size)
      .help("Length of the vector that stands for a patch.")
      .at_least(1)
      .known_as({"embed_dim", "dim", "d_model"});
  fields.field("intermediate_size", config.intermediate_size)
      .help("Width of the feed-forward layers.")
      .at_least(1)
      .known_as({"mlp_dim", "ffn_dim"});
  fields.field("dropout", config.dropout)
      .help(
          "Share of activations that training sets to zero: of the embedding, and of what "
          "attention "
          "and feed-forward add to the residual stream.")
      .at_least(0)
      .below(1)
      .known_as({"hidden_dropout_prob", "drop_rate"});
  fields.field("attention_dropout", config.attention_dropout)
      .help("Dropout of attention weights.")
      .at_least(0)
      .below(1)
      .known_as({"attention_probs_dropout_prob", "attn_drop_rate"});
  fields.field("layer_norm_epsilon", config.layer_norm_epsilon)
      .help("Added to the variance in layer normalisation.")
      .above(0)
      .known_as({"layer_norm_eps"});
  fields.field("initializer_range", config.initializer_range)
      .help("Standard deviation of the first weights.")
      .above(0)
      .known_as({"init_std"});
  fields.field("shift", config.shift)
      .help("Augmentation: training images are moved by up to so many pixels, black behind them.")
      .unit("pixels")
      .at_least(0)
      .known_as({"crop_padding", "random_crop"});
  fields.field("flip", config.flip)
      .help("Augmentation: half of the training images are mirrored, left for right.")
      .known_as({"horizontal_flip", "random_flip"});
  fields.rule("patch_size", [&config]() -> std::optional<std::string> {
    if (config.image_size % config.patch_size == 0) return std::nullopt;
    return c10::str("image_size ", config.image_size, " is not a multiple of patch_size ",
                    config.patch_size);
  });
  fields.rule("num_heads", [&config]() -> std::optional<std::string> {
    if (config.hidden_size % config.num_heads == 0) return std::nullopt;
    return c10::str("hidden_size ", config.hidden_size, " is not a multiple of num_heads ",
                    config.num_heads);
  });
}

std::map<std::string, std::string> vit_files(const VitConfig& config) {
  Json model = {{"architectures", {"ViTForImageClassification"}},
                {"model_type", "vit"},
                {"image_size", config.image_size},
                {"patch_size", config.patch_size},
                {"num_channels", config.num_channels},
                {"num_hidden_layers", config.num_layers},
                {"num_attention_heads", config.num_heads},
                {"hidden_size", config.hidden_size},
                {"intermediate_size", config.intermediate_size},
                {"hidden_act", "gelu"},
                {"hidden_dropout_prob", config.dropout},
                {"attention_probs_dropout_prob", config.attention_dropout},
                {"layer_norm_eps", config.layer_norm_epsilon},
                {"initializer_range", config.initializer_range},
                {"qkv_bias", true},
                {"dtype", "float32"},
                {"torch_dtype", "float32"}};
  common::add_labels(model, config.num_labels);
  const std::vector<double> half(static_cast<size_t>(config.num_channels), 0.5);
  const Json preprocessor = {
      {"image_processor_type", "ViTImageProcessor"},
      {"do_resize", true},
      {"size", {{"height", config.image_size}, {"width", config.image_size}}},
      {"resample", 2},
      {"do_rescale", true},
      {"rescale_factor", 1.0 / 255},
      {"do_normalize", true},
      {"image_mean", half},
      {"image_std", half}};
  return {{"config.json", model.dump(2) + "\n"},
          {"preprocessor_config.json", preprocessor.dump(2) + "\n"}};
}

void check_vit_files(const VitConfig& config, const std::map<std::string, std::string>& files) {
  const Json stored = common::parse_config_json(files, "vit_classifier", "vit");
  common::ConfigComparison compare(stored);
  compare.expect<int64_t>("image_size", config.image_size, "image_size", 224);
  compare.expect<int64_t>("patch_size", config.patch_size, "patch_size", 16);
  compare.expect<int64_t>("num_channels", config.num_channels, "num_channels", 3);
  compare.expect<int64_t>("num_layers", config.num_layers, "num_hidden_layers", 12);
  compare.expect<int64_t>("num_heads", config.num_heads, "num_attention_heads", 12);
  compare.expect<int64_t>("hidden_size", config.hidden_size, "hidden_size", 768);
  compare.expect<int64_t>("intermediate_size", config.intermediate_size, "intermediate_size", 3072);
  compare.expect<double>("layer_norm_epsilon", config.layer_norm_epsilon, "layer_norm_eps", 1e-12);
  compare.expect<std::string>("activation", "gelu", "hidden_act", "gelu");
  compare.expect<bool>("biases of queries, keys and values", true, "qkv_bias", true);
  compare.throw_if_any();
}

std::optional<std::string> vit_parameter_name(const std::string& stored_name) {
  const bool has_prefix = stored_name.starts_with("vit.") || stored_name.starts_with("classifier.");
  const std::string name = has_prefix ? stored_name : "vit." + stored_name;
  if (name.starts_with("vit.pooler.")) return std::nullopt;
  return name;
}

}  // namespace triga::transformer
