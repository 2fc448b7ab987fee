#include "trainer/training_samples.h"

#include <fmt/format.h>

#include "checkpoint/layout.h"
#include "config/placed.h"
#include "triga/log.h"
#include "triga/tokenizer.h"

namespace triga {
namespace {

/// Asks before each prediction whether a rank was told to stop: a sampler may take minutes. All ranks
/// of a pipeline are thrown out of it at the same prediction.
class StoppablePredictor final : public Predictor {
 public:
  StoppablePredictor(Predictor& predictor, Communicator& pipeline, const std::atomic<bool>& stop)
      : predictor_(predictor), pipeline_(pipeline), stop_(stop) {}

  Activations predict(const Batch& batch, SequenceState* state) override {
    double votes = stop_ ? 1 : 0;
    pipeline_.all_reduce_values({&votes, 1}, ReduceOp::kMax, "signal to stop");
    is_stopped_ = votes > 0;
    if (is_stopped_) throw Error("stopped");
    return predictor_.predict(batch, state);
  }

  bool is_stopped() const { return is_stopped_; }

 private:
  Predictor& predictor_;
  Communicator& pipeline_;
  const std::atomic<bool>& stop_;
  bool is_stopped_ = false;
};

void write_file(FileSystem& files, const Path& path, std::string_view content) {
  const std::unique_ptr<WritableFile> file = files.create(path);
  file->append(content.data(), content.size());
  file->close();
}

}  // namespace

TrainingSamples::TrainingSamples(const Experiment& experiment, const Assembly& assembly,
                                 const ProcessGrid& grid, FileSystem& files,
                                 const RunDirectory& directory)
    : config_(*experiment.log.samples),
      tokenizer_(assembly.tokenizer.get()),
      grid_(grid),
      files_(files),
      folder_(directory.samples()),
      sampler_(placed(config_.place.place_of("inputs"),
                      [&] { return assembly.architecture->sampler()->create(config_.inputs); })),
      sampler_code_(code_of("sampler", *sampler_)),
      model_files_(model_files(assembly)) {}

bool TrainingSamples::are_due(int64_t step, bool is_last) const {
  return is_last || (config_.every_steps > 0 && step % config_.every_steps == 0);
}

Path TrainingSamples::folder_of(int64_t step) const {
  return folder_ / checkpoint_name(step);
}

bool TrainingSamples::are_made(int64_t step) const {
  double is_there = grid_.rank() == 0 && exists(files_, folder_of(step)) ? 1 : 0;
  grid_.world().all_reduce_values({&is_there, 1}, ReduceOp::kMax, "samples of the step");
  return is_there > 0;
}

std::optional<SampleRecord> TrainingSamples::generate(Predictor& predictor, int64_t step,
                                                      const std::atomic<bool>& stop_requested,
                                                      bool& is_stopped) {
  SampleRecord samples;
  samples.step = step;
  SamplerContext context;
  context.tokenizer = tokenizer_;
  context.files = model_files_;
  context.print = [&](std::string_view text) { samples.text += text; };
  context.save = [&](const std::string& name, std::string_view content) {
    samples.files.emplace_back(name, content);
  };
  StoppablePredictor stoppable(predictor, grid_.pipeline(), stop_requested);
  std::string problem;
  try {
    PluginCall("generate", sampler_code_).run([&] { sampler_->generate(stoppable, context); });
  } catch (const Error& error) {
    const bool is_of_the_inputs =
        error.status() == ExitStatus::kUsage || error.status() == ExitStatus::kData;
    if (!stoppable.is_stopped() && !is_of_the_inputs) throw;
    if (!stoppable.is_stopped()) problem = error.what();
  }
  double votes = stoppable.is_stopped() ? 1 : 0;
  grid_.world().all_reduce_values({&votes, 1}, ReduceOp::kMax, "end of the samples");
  is_stopped = votes > 0;
  if (!problem.empty() && grid_.rank() == 0)
    log_warning("samples", "step ", step, ": none were made, the run goes on: ", problem);
  if (is_stopped || !problem.empty()) return std::nullopt;
  return samples;
}

// A draft becomes the folder when it is whole, so one that is there need not be made again.
void TrainingSamples::write(const SampleRecord& samples) {
  const Path folder = folder_of(samples.step);
  Path draft = folder;
  draft += kDraftSuffix;
  try {
    remove_all(files_, draft);
    make_directories(files_, draft);
    if (!samples.text.empty()) write_file(files_, draft / "text.txt", samples.text);
    for (const auto& [name, content] : samples.files) write_file(files_, draft / name, content);
    remove_all(files_, folder);
    files_.rename(draft, folder);
    log_info("samples", "step ", samples.step, ": ", folder.string());
  } catch (const FileError& error) {
    log_warning("samples", "step ", samples.step,
                ": they could not be written, the run goes on: ", error.what());
  }
}

ConfigNode resolved_sample_inputs(const Experiment& experiment, const Architecture& architecture) {
  return architecture.sampler()->resolve(experiment.log.samples->inputs);
}

}  // namespace triga
