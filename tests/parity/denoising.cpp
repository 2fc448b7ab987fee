// denoising FOLDER: each step of denoising, of the cases in FOLDER/cases.txt, a line each: name,
// method, prediction, beta schedule, timesteps, steps, eta. FOLDER/inputs.safetensors has noisy,
// output and noise for all of them; FOLDER/results.safetensors gets NAME.TIMESTEP.
#include <fstream>
#include <sstream>

#include "checkpoint/checksum.h"
#include "checkpoint/tensor_files.h"
#include "plugins/diffusion/denoising.h"

namespace {

using namespace triga;             // NOLINT: of this program
using namespace triga::diffusion;  // NOLINT

void run_case(const std::string& line, const TensorFiles& inputs, TensorsByName& results) {
  std::istringstream words(line);
  std::string name, method, prediction_word, betas;
  NoiseScheduleConfig config;
  int64_t num_steps = 0;
  double eta = 0;
  words >> name >> method >> prediction_word >> betas >> config.num_train_timesteps >> num_steps >>
      eta;
  config.beta_schedule = betas == "linear"          ? BetaSchedule::kLinear
                         : betas == "scaled_linear" ? BetaSchedule::kScaledLinear
                                                    : BetaSchedule::kSquaredCosine;
  const Prediction prediction = prediction_word == "epsilon"  ? Prediction::kEpsilon
                                : prediction_word == "sample" ? Prediction::kSample
                                                              : Prediction::kVelocity;
  const NoiseSchedule schedule(config);
  const at::Tensor noisy = inputs.read("noisy"), output = inputs.read("output"),
                   noise = inputs.read("noise");
  const std::vector<int64_t> timesteps = inference_timesteps(config.num_train_timesteps, num_steps);
  for (size_t i = 0; i < timesteps.size(); ++i) {
    const DenoisingStep step{timesteps[i], i + 1 < timesteps.size() ? timesteps[i + 1] : -1};
    results[name + "." + std::to_string(step.timestep)] =
        method == "ddpm" ? ddpm_step(schedule, prediction, step, noisy, output, noise)
                         : ddim_step(schedule, prediction, step, eta, noisy, output, noise);
  }
}

}  // namespace

int main(int, char** arguments) {
  const Path folder = arguments[1];
  const TensorFiles inputs(posix_files(), folder, "inputs");
  TensorsByName results;
  std::ifstream cases(folder / "cases.txt");
  for (std::string line; std::getline(cases, line);) run_case(line, inputs, results);
  ChecksummedFile file(posix_files(), folder, "results.safetensors");
  write_safetensors(file, results, {});
  file.finish();
}
