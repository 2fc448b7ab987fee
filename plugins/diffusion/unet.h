// The U-Net of diffusers' UNet2DModel as a list of layers, one a residual block (with its
// attention) or a change of size, so that a pipeline may cut it nearly anywhere.
//
//   conv_in                 writes skip.0, time
//   down_blocks.I.J         reads skip.k, writes skip.k+1        every output on the way down is
//   down_blocks.I.down      reads skip.k, writes skip.k+1        read twice: by the next layer,
//   mid_block               reads the last skip, writes hidden   and on the way up
//   up_blocks.I.J           reads hidden and a skip, the last first; writes hidden
//   up_blocks.I.up          hidden -> hidden, twice as large
//   conv_out                hidden -> prediction
//
// `time` goes through every layer that has a residual block: one reader after the other, so that
// its gradient is added up in the same order wherever the model is cut.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "diffusion/unet_parts.h"
#include "triga/config.h"

namespace triga::diffusion {

/// The keys of UNet2DModel's config.json.
struct UnetConfig {
  int64_t sample_size = 32;  // height and width
  int64_t in_channels = 3;   // and out_channels
  std::vector<int64_t> block_out_channels = {128, 256, 256, 256};
  std::vector<std::string> down_block_types = {"DownBlock2D", "AttnDownBlock2D", "DownBlock2D",
                                               "DownBlock2D"};
  std::vector<std::string> up_block_types = {"UpBlock2D", "UpBlock2D", "AttnUpBlock2D",
                                             "UpBlock2D"};
  int64_t layers_per_block = 2;
  bool add_attention = true;  // in the middle
  std::optional<int64_t> attention_head_dim;
  double dropout = 0.1;
  int64_t norm_num_groups = 32;
  double norm_eps = 1e-5;
  int64_t freq_shift = 1;
  bool flip_sin_to_cos = false;
  int64_t downsample_padding = 0;
};

void describe(Fields& fields, UnetConfig& config);

/// Reads batch["noisy"] fp32 [B, C, H, W] and batch["timesteps"] int64 [B]; the last layer writes
/// `prediction` [B, C, H, W]. All belong to component `unet`.
std::vector<LayerSpec> unet_layers(const UnetConfig& config);

}  // namespace triga::diffusion
