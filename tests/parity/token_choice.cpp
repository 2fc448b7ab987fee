// token_choice FOLDER: reads FOLDER/logits.safetensors ("logits" [cases, vocabulary], "choices"
// [cases, 3]: temperature, top_k, top_p; 0: none) and writes FOLDER/probabilities.safetensors
// ("probabilities", and "counts" of some draws).
#include "common/token_choice.h"

#include <ATen/ATen.h>

#include "checkpoint/checksum.h"
#include "checkpoint/tensor_files.h"

int main(int, char** arguments) {
  using namespace triga;  // NOLINT: a test program
  constexpr int kNumDraws = 20000;
  const Path folder = arguments[1];
  const TensorFiles stored(posix_files(), folder, "logits");
  const auto logits = stored.read("logits"), choices = stored.read("choices");
  const auto probabilities = at::zeros(logits.sizes(), at::kDouble),
             counts = at::zeros(logits.sizes(), at::kLong);
  for (int64_t i = 0; i < logits.size(0); ++i) {
    common::TokenChoice choice;
    choice.temperature = choices[i][0].item<double>();
    if (const auto k = choices[i][1].item<int64_t>(); k > 0) choice.top_k = k;
    if (const auto p = choices[i][2].item<double>(); p > 0) choice.top_p = p;
    const auto row = common::token_probabilities(logits[i], choice);
    probabilities[i].copy_(at::tensor(row, at::kDouble));
    RandomStream random(RandomKey(7), static_cast<uint64_t>(i));
    auto* count = counts[i].data_ptr<int64_t>();
    for (int draw = 0; draw < kNumDraws; ++draw)
      ++count[common::choose_token(logits[i], choice, random)];
  }
  ChecksummedFile file(posix_files(), folder, "probabilities.safetensors");
  write_safetensors(file, {{"probabilities", probabilities}, {"counts", counts}}, {});
  file.finish();
}
