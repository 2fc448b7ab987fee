// Options of kind `ddpm`, and the JSON files of diffusers that say the same.
#include <c10/util/StringUtil.h>

#include "common/model_json.h"
#include "diffusion/ddpm.h"

namespace triga::diffusion {
namespace {

using common::Json;

constexpr char kUnetFile[] = "unet/config.json";
constexpr char kSchedulerFile[] = "scheduler/scheduler_config.json";

std::vector<std::pair<std::string, BetaSchedule>> beta_words() {
  return {{"linear", BetaSchedule::kLinear},
          {"scaled_linear", BetaSchedule::kScaledLinear},
          {"squaredcos_cap_v2", BetaSchedule::kSquaredCosine}};
}

std::vector<std::pair<std::string, Prediction>> prediction_words() {
  return {{"epsilon", Prediction::kEpsilon},
          {"sample", Prediction::kSample},
          {"v_prediction", Prediction::kVelocity}};
}

template <class E>
std::string word(const std::vector<std::pair<std::string, E>>& words, E value) {
  for (const auto& [name, each] : words)
    if (each == value) return name;
  return "";
}

Json unet_json(const DdpmConfig& config) {
  return {{"_class_name", "UNet2DModel"},
          {"sample_size", config.sample_size},
          {"in_channels", config.in_channels},
          {"out_channels", config.in_channels},
          {"center_input_sample", false},
          {"time_embedding_type", "positional"},
          {"time_embedding_dim", nullptr},
          {"freq_shift", config.freq_shift},
          {"flip_sin_to_cos", config.flip_sin_to_cos},
          {"down_block_types", config.down_block_types},
          {"mid_block_type", "UNetMidBlock2D"},
          {"up_block_types", config.up_block_types},
          {"block_out_channels", config.block_out_channels},
          {"layers_per_block", config.layers_per_block},
          {"mid_block_scale_factor", 1},
          {"downsample_padding", config.downsample_padding},
          {"downsample_type", "conv"},
          {"upsample_type", "conv"},
          {"dropout", config.dropout},
          {"act_fn", "silu"},
          {"attention_head_dim",
           config.attention_head_dim ? Json(*config.attention_head_dim) : Json(nullptr)},
          {"norm_num_groups", config.norm_num_groups},
          {"attn_norm_num_groups", nullptr},
          {"norm_eps", config.norm_eps},
          {"resnet_time_scale_shift", "default"},
          {"add_attention", config.add_attention},
          {"class_embed_type", nullptr},
          {"num_class_embeds", nullptr},
          {"num_train_timesteps", nullptr}};
}

Json scheduler_json(const DdpmConfig& config) {
  return {{"_class_name", "DDPMScheduler"},
          {"num_train_timesteps", config.num_train_timesteps},
          {"beta_schedule", word(beta_words(), config.beta_schedule)},
          {"beta_start", config.beta_start},
          {"beta_end", config.beta_end},
          {"trained_betas", nullptr},
          {"prediction_type", word(prediction_words(), config.prediction_type)},
          {"variance_type", "fixed_small"},
          {"clip_sample", true},
          {"clip_sample_range", 1.0},
          {"timestep_spacing", "leading"},
          {"steps_offset", 0},
          {"rescale_betas_zero_snr", false},
          {"thresholding", false}};
}

/// What diffusers takes where a file leaves a key out.
Json unet_defaults() {
  UnetConfig config;
  config.flip_sin_to_cos = true;
  config.freq_shift = 0;
  config.downsample_padding = 1;
  config.attention_head_dim = 8;
  config.block_out_channels = {224, 448, 672, 896};
  config.down_block_types = {"DownBlock2D", "AttnDownBlock2D", "AttnDownBlock2D",
                             "AttnDownBlock2D"};
  config.up_block_types = {"AttnUpBlock2D", "AttnUpBlock2D", "AttnUpBlock2D", "UpBlock2D"};
  DdpmConfig whole;
  static_cast<UnetConfig&>(whole) = config;
  return unet_json(whole);
}

Json parse(const std::map<std::string, std::string>& files, const std::string& name) {
  const auto file = files.find(name);
  if (file == files.end())
    throw CheckpointError(c10::str("no ", name, ": a pipeline of diffusers has one"));
  Json stored = Json::parse(file->second, nullptr, /*allow_exceptions=*/false);
  if (!stored.is_object()) throw CheckpointError(c10::str(name, " is not a JSON object"));
  return stored;
}

/// Adds a line for each key of `ours`, which computation depends on, that has another value there.
void compare(const std::string& file, const Json& ours, const Json& defaults, const Json& theirs,
             std::string& differences) {
  for (const auto& [key, value] : ours.items()) {
    // Dropout is no property of weights; diffusers keeps names of classes with a leading line.
    if (key == "dropout" || key == "_class_name") continue;
    const Json there = theirs.contains(key)     ? theirs[key]
                       : defaults.contains(key) ? defaults[key]
                                                : Json(nullptr);
    if (there != value)
      differences +=
          c10::str("\n  ", key, ": ", value.dump(), " here, ", there.dump(), " there (", file, ")");
  }
}

}  // namespace

void describe(Fields& fields, DdpmConfig& config) {
  describe(fields, static_cast<UnetConfig&>(config));
  fields.field("num_train_timesteps", config.num_train_timesteps)
      .help("Steps from an image to noise.")
      .at_least(1)
      .known_as({"timesteps", "num_timesteps", "diffusion_steps", "T"});
  fields.choice("beta_schedule", config.beta_schedule, beta_words())
      .help(
          "How much noise each step adds: linear (Ho et al. 2020), scaled_linear (Rombach et al. "
          "2022), or squaredcos_cap_v2, the cosine schedule (Nichol and Dhariwal 2021).")
      .known_as({"noise_schedule"});
  fields.field("beta_start", config.beta_start)
      .help("Variance of the first step's noise; not of squaredcos_cap_v2.")
      .above(0)
      .below(1);
  fields.field("beta_end", config.beta_end)
      .help("Variance of the last step's noise; not of squaredcos_cap_v2.")
      .above(0)
      .below(1);
  fields.choice("prediction_type", config.prediction_type, prediction_words())
      .help(
          "What the model predicts: epsilon, the noise; sample, the image; v_prediction (Salimans "
          "and Ho 2022).")
      .known_as({"objective", "predict", "parameterization"});
  fields
      .choice("loss", config.loss,
              {{"simple", LossKind::kSimple}, {"variational", LossKind::kVariational}})
      .help(
          "What is trained: simple, the prediction's squared error, every timestep alike (Ho et "
          "al. "
          "2020, equation 14); variational, the bound on the likelihood, in bits per dimension "
          "(equation 5).")
      .known_as({"loss_type", "objective_type", "use_kl", "vlb"});
  fields.field("evaluation_timesteps", config.evaluation_timesteps)
      .help(
          "At how many timesteps an evaluation looks at each image; num_train_timesteps: at all of "
          "them. Its loss and bits_per_dim scatter less the more there are, and it takes as much "
          "longer.")
      .unit("timesteps")
      .at_least(1)
      .known_as({"num_eval_timesteps", "bpd_timesteps"});
  fields.rule("evaluation_timesteps", [&config]() -> std::optional<std::string> {
    if (config.evaluation_timesteps <= config.num_train_timesteps) return std::nullopt;
    return c10::str(config.evaluation_timesteps, "; there are only num_train_timesteps ",
                    config.num_train_timesteps);
  });
  fields.rule("beta_end", [&config]() -> std::optional<std::string> {
    if (config.beta_start <= config.beta_end) return std::nullopt;
    return c10::str("is below beta_start ", config.beta_start);
  });
}

std::map<std::string, std::string> ddpm_files(const DdpmConfig& config) {
  const Json index = {{"_class_name", "DDPMPipeline"},
                      {"scheduler", {"diffusers", "DDPMScheduler"}},
                      {"unet", {"diffusers", "UNet2DModel"}}};
  return {{"model_index.json", index.dump(2) + "\n"},
          {kUnetFile, unet_json(config).dump(2) + "\n"},
          {kSchedulerFile, scheduler_json(config).dump(2) + "\n"}};
}

void check_ddpm_files(const DdpmConfig& config, const std::map<std::string, std::string>& files) {
  const Json unet = parse(files, kUnetFile), scheduler = parse(files, kSchedulerFile);
  if (const std::string name = unet.value("_class_name", "UNet2DModel"); name != "UNet2DModel")
    throw CheckpointError(
        c10::str(kUnetFile, " is of class ", name, "; kind ddpm reads UNet2DModel"));
  std::string differences;
  compare(kUnetFile, unet_json(config), unet_defaults(), unet, differences);
  // Of the scheduler what training depends on; samplers have inputs of their own.
  const Json noise = scheduler_json(config), usual = scheduler_json({});
  Json ours;
  for (const char* key : {"num_train_timesteps", "beta_schedule", "beta_start", "beta_end",
                          "prediction_type", "trained_betas", "rescale_betas_zero_snr"})
    ours[key] = noise[key];
  compare(kSchedulerFile, ours, usual, scheduler, differences);
  if (!differences.empty())
    throw ConfigError(c10::str("the model differs from the one in the directory:", differences,
                               "\nGive the experiment's model.config these values."));
}

}  // namespace triga::diffusion
