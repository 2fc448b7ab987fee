// What the options of a U-Net mean, and which go together.
#include <c10/util/StringUtil.h>

#include "diffusion/unet.h"

namespace triga::diffusion {
namespace {

using Problem = std::optional<std::string>;

Problem one_for_each_block(const UnetConfig& config, const std::vector<std::string>& types) {
  if (types.size() == config.block_out_channels.size()) return std::nullopt;
  return c10::str("has ", types.size(), " types; block_out_channels has ",
                  config.block_out_channels.size(), " blocks");
}

/// Group normalisation and attention share channels out evenly.
Problem even_shares(const UnetConfig& config) {
  if (config.block_out_channels.empty()) return "the list is empty; name at least one block";
  for (const int64_t channels : config.block_out_channels) {
    if (channels % config.norm_num_groups != 0)
      return c10::str(channels, " channels are not a multiple of norm_num_groups ",
                      config.norm_num_groups);
    if (config.attention_head_dim && channels % *config.attention_head_dim != 0)
      return c10::str(channels, " channels are not a multiple of attention_head_dim ",
                      *config.attention_head_dim);
  }
  // Sines and cosines of as many frequencies, of which freq_shift needs one more.
  if (config.block_out_channels[0] % 2 != 0 || config.block_out_channels[0] < 4)
    return c10::str("the first, ", config.block_out_channels[0],
                    ", is not an even number of at least 4");
  return std::nullopt;
}

/// Each block but the last halves the image, and what is halved must be doubled again.
Problem can_be_halved(const UnetConfig& config) {
  const int64_t factor = int64_t{1} << (std::max<size_t>(1, config.block_out_channels.size()) - 1);
  if (config.sample_size % factor == 0) return std::nullopt;
  return c10::str(config.sample_size, " is not a multiple of ", factor, ", which ",
                  config.block_out_channels.size(), " blocks need");
}

void describe_blocks(Fields& fields, UnetConfig& config) {
  fields.field("block_out_channels", config.block_out_channels)
      .help("Channels of each block on the way down; the way up has them in reverse.")
      .at_least(1)
      .known_as({"channels", "ch_mult", "dim_mults", "channel_mult", "model_channels"});
  fields.field("down_block_types", config.down_block_types)
      .help("Of each block on the way down: with attention or without.")
      .one_of({"DownBlock2D", "AttnDownBlock2D"})
      .known_as({"attn_resolutions", "attention_resolutions"});
  fields.field("up_block_types", config.up_block_types)
      .help("Of each block on the way up: with attention or without.")
      .one_of({"UpBlock2D", "AttnUpBlock2D"});
  fields.field("layers_per_block", config.layers_per_block)
      .help("Residual blocks of a block; on the way up it has one more.")
      .at_least(1)
      .known_as({"num_res_blocks"});
  fields.field("add_attention", config.add_attention).help("Attention in the middle.");
  fields.field("attention_head_dim", config.attention_head_dim)
      .help("Channels of an attention head.")
      .at_least(1)
      .empty_word("all")
      .known_as({"num_head_channels"});
}

}  // namespace

void describe(Fields& fields, UnetConfig& config) {
  fields.field("sample_size", config.sample_size)
      .help("Height and width of the images.")
      .unit("pixels")
      .at_least(1)
      .known_as({"image_size", "resolution", "img_size"});
  fields.field("in_channels", config.in_channels)
      .help("Channels of the images: 1 grey, 3 colour.")
      .at_least(1)
      .known_as({"out_channels", "num_channels", "img_channels"});
  describe_blocks(fields, config);
  fields.field("dropout", config.dropout)
      .help("Share of activations that training sets to zero, in every residual block.")
      .at_least(0)
      .below(1)
      .known_as({"dropout_p", "dropout_rate", "p_dropout"});
  fields.field("norm_num_groups", config.norm_num_groups)
      .help("Groups of group normalisation.")
      .at_least(1)
      .known_as({"num_groups", "groups"});
  fields.field("norm_eps", config.norm_eps)
      .help("Added to the variance in group normalisation.")
      .above(0)
      .known_as({"layer_norm_epsilon", "eps"});
  fields.field("freq_shift", config.freq_shift)
      .help("How the frequencies of the time embedding are spaced: 1 as Ho et al., 0 as others.")
      .at_least(0)
      .at_most(1);
  fields.field("flip_sin_to_cos", config.flip_sin_to_cos)
      .help("The time embedding begins with the cosines.");
  fields.field("downsample_padding", config.downsample_padding)
      .help("Padding where the size is halved: 0 behind only, as Ho et al.; 1 on all sides.")
      .at_least(0)
      .at_most(1);
  fields.rule("block_out_channels", [&config] { return even_shares(config); });
  fields.rule("down_block_types",
              [&config] { return one_for_each_block(config, config.down_block_types); });
  fields.rule("up_block_types",
              [&config] { return one_for_each_block(config, config.up_block_types); });
  fields.rule("sample_size", [&config] { return can_be_halved(config); });
}

}  // namespace triga::diffusion
