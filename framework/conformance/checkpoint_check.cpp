#include "conformance/checkpoint_check.h"

#include <ATen/ATen.h>

#include "checkpoint/initialize.h"
#include "checkpoint/reader.h"
#include "checkpoint/writer.h"
#include "comm/local_communicator.h"
#include "conformance/core_optimizer.h"
#include "parallel/strategy.h"
#include "trainer/snapshot_of_run.h"

namespace triga::conformance {
namespace {

/// By name; copies.
std::map<std::string, at::Tensor> all_tensors(Strategy& strategy) {
  std::map<std::string, at::Tensor> tensors;
  for (const auto& tensor : strategy.collect_weights())
    tensors[tensor.component + " " + tensor.name] = tensor.value.clone();
  for (const auto& tensor : strategy.collect_optimizer_state())
    tensors["state " + tensor.name] = tensor.value.clone();
  return tensors;
}

}  // namespace

Problems save_and_load(const Subject& subject) {
  const auto architecture = subject.make();
  const auto world = make_single_communicator();
  Strategy::Options options;
  options.seed = 21;
  Strategy saved(*architecture, *world, options, core_optimizer("adamw"));
  saved.parameters().initialize(21);
  saved.forward_backward({subject.batch(*architecture, 0, 3)}, 0);
  saved.clip_gradients(1.0);
  saved.update(0.01);
  CheckpointWriter writer(posix_files(), Path(subject.scratch_dir) / "checkpoints", {});
  Snapshot snapshot = take_snapshot(saved, *architecture);
  if (subject.tokenizer != nullptr) snapshot.files = subject.tokenizer->files();
  const Path directory = writer.save(snapshot);

  const auto again = subject.make();
  Strategy loaded(*again, *world, options, core_optimizer("adamw"));
  loaded.parameters().initialize(22);  // other values, all of which must be read
  again->check_compatible(read_model_files(posix_files(), directory));
  restore(loaded, *again, Checkpoint(posix_files(), directory));
  Problems problems;
  const auto expected = all_tensors(saved), found = all_tensors(loaded);
  for (const auto& [name, tensor] : expected)
    if (!found.contains(name) || !tensor.equal(found.at(name)))
      problems.push_back(name + " is not what was saved");
  Strategy started(*again, *world, options,
                   core_optimizer("adamw"));  // as model.init and generate do
  started.parameters().initialize(23);
  load_weights(started, *again, posix_files(), directory, {});
  for (const auto& tensor : started.collect_weights())
    if (!tensor.value.equal(expected.at(tensor.component + " " + tensor.name)))
      problems.push_back(tensor.name + " is not read when the directory is another model's start");
  return problems;
}

}  // namespace triga::conformance
