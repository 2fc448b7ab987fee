// What every architecture must hold, whatever it computes: the promises of triga/architecture.h
// that the core relies on.
#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>

#include <algorithm>
#include <set>

#include "base/files.h"
#include "conformance/checkpoint_check.h"
#include "conformance/cut_model.h"
#include "conformance/gradient_check.h"
#include "conformance/layout_check.h"
#include "conformance/metric_check.h"
#include "conformance/subject.h"
#include "conformance/undeclared.h"
#include "parallel/pipeline/flow.h"

namespace triga::conformance {
namespace {

Problems named(const std::vector<std::string>& names, const std::string& what) {
  Problems problems;
  for (const std::string& name : names) problems.push_back(name + what);
  return problems;
}

void append(Problems& problems, const Problems& more) {
  problems.insert(problems.end(), more.begin(), more.end());
}

Problems layers_are_the_same_every_time(const Subject& subject) {
  Problems problems;
  const auto model = subject.make();
  const auto specs = model->layers();
  const auto others = subject.make()->layers();
  check_layers(specs);
  if (specs.size() != others.size()) return {"the number of layers is another one every time"};
  for (size_t i = 0; i < specs.size(); ++i) {
    const auto layer = specs[i].build(), other = others[i].build();
    if (specs[i].name != others[i].name)
      problems.push_back(specs[i].name + " has another name every time");
    if (layer->parameters().size() != other->parameters().size()) {
      problems.push_back(specs[i].name + " declares other parameters every time");
      continue;
    }
    for (size_t k = 0; k < layer->parameters().size(); ++k) {
      const auto& spec = layer->parameters()[k].spec();
      const auto& again = other->parameters()[k].spec();
      if (spec.name != again.name || spec.shape != again.shape)
        problems.push_back(spec.name + " has another name or shape every time");
      if (layer->parameters()[k].tensor().defined())
        problems.push_back(spec.name + " was allocated by its layer");
      if (model->parameter_name(spec.name) != spec.name)
        problems.push_back("parameter_name() gives " + spec.name + " another name");
    }
  }
  return problems;
}

Problems collate_is_a_function(const Subject& subject) {
  Problems problems;
  const auto model = subject.make();
  const Batch first = subject.batch(*model, 0, 4), again = subject.batch(*subject.make(), 0, 4);
  if (first.num_samples != 4)
    problems.push_back(c10::str("num_samples is ", first.num_samples, " for 4 samples"));
  for (const auto& [name, tensor] : first.fields) {
    if (tensor.dim() == 0 || tensor.size(0) != 4)
      problems.push_back(name + " does not have a row for each sample");
    const at::Tensor* same = again.fields.find(name);
    if (same == nullptr || !tensor.equal(*same))
      problems.push_back(name + " is another one every time");
    if (!tensor.is_cpu()) problems.push_back(name + " is not on the CPU");
  }
  return problems;
}

Problems every_parameter_gets_a_gradient(const Subject& subject) {
  Problems problems;
  const auto model = subject.make();
  if (model->loss()->count(subject.batch(*model, 0, 3), "loss") <= 0)
    problems.push_back("the loss counts nothing in three samples");
  for (const auto& [name, tensor] : CutModel(*model, {}).train(subject.batches(*model), false)) {
    if (!tensor.isfinite().all().item<bool>()) problems.push_back(name + " is not finite");
    if (name.find("gradient of") != std::string::npos && !tensor.ne(0).any().item<bool>())
      problems.push_back(name + " is zero: is it used in forward()?");
  }
  return problems;
}

Problems same_bits(const Subject& subject) {
  const auto model = subject.make(), other = subject.make();
  return named(differences(CutModel(*model, {}).train(subject.batches(*model), false),
                           CutModel(*other, {}).train(subject.batches(*other), false)),
               " differs from one time to the next");
}

Problems nothing_from_the_default_generator(const Subject& subject) {
  const auto generator = at::detail::getDefaultCPUGenerator();
  const at::Tensor before = generator.get_state();
  const auto model = subject.make();
  CutModel(*model, {}).train(subject.batches(*model), false);
  if (before.equal(generator.get_state())) return {};
  return {
      "LibTorch's own generator was drawn from: use triga::dropout, context.random_key() or "
      "CollateContext::random()"};
}

Problems every_cut(const Subject& subject) {
  Problems problems;
  const auto model = subject.make();
  const auto batches = subject.batches(*model);
  CutModel uncut(*model, {});
  const Record expected = uncut.train(batches, false);
  for (size_t cut = 1; cut < uncut.num_layers(); ++cut) {
    append(problems, named(differences(expected, CutModel(*model, {cut}).train(batches, false)),
                           c10::str(" differs when the model is cut before layer ", cut, ", ",
                                    model->layers()[cut].name)));
  }
  append(problems, named(differences(expected, CutModel::everywhere(*model).train(batches, false)),
                         " differs when the model is cut everywhere"));
  return problems;
}

std::string one_layer(const Subject& subject) {
  return subject.make()->layers().size() == 1 ? "it has one layer" : "";
}

/// What an evaluation of three samples gives: the batch, and the outputs.
Record evaluated(const Subject& subject, const Architecture& model, CutModel& cut) {
  const Batch batch = subject.evaluation_batch(model, 0, 3);
  Record record;
  for (const auto& [name, tensor] : batch.fields) record["batch field " + name] = tensor;
  for (const auto& [name, tensor] : cut.evaluate(batch)) record["output " + name] = tensor.clone();
  return record;
}

Problems evaluation_is_a_function(const Subject& subject) {
  const auto model = subject.make(), other = subject.make();
  const Batch batch = subject.evaluation_batch(*model, 0, 3);
  if (batch.num_samples != 3)
    return {c10::str("num_samples is ", batch.num_samples, " for 3 samples")};
  Problems problems;
  if (model->loss()->count(batch, "loss") <= 0)
    problems.push_back("the loss counts nothing in three samples of an evaluation");
  CutModel first(*model, {}), again(*other, {}), cut = CutModel::everywhere(*model);
  const Record expected = evaluated(subject, *model, first);
  for (const auto& [name, tensor] : expected)
    if (!tensor.isfinite().all().item<bool>()) problems.push_back(name + " is not finite");
  append(problems, named(differences(expected, evaluated(subject, *model, first)),
                         " of an evaluation differs from one pass to the next"));
  append(problems, named(differences(expected, evaluated(subject, *other, again)),
                         " of an evaluation differs from one time to the next"));
  append(problems, named(differences(expected, evaluated(subject, *model, cut)),
                         " of an evaluation differs when the model is cut everywhere"));
  return problems;
}

Problems recomputing_changes_nothing(const Subject& subject) {
  Problems problems;
  const auto model = subject.make();
  const auto batches = subject.batches(*model);
  const Record expected = CutModel(*model, {}).train(batches, false);
  for (const auto& [recompute, key] :
       {std::pair(Recompute::kFull, "full"), std::pair(Recompute::kSelective, "selective")}) {
    CutModel again(*model, {});
    again.set_recompute(recompute);
    append(problems, named(differences(expected, again.train(batches, false)),
                           c10::str(" differs with parallel.recompute: ", key)));
  }
  return problems;
}

Problems metrics_merge(const Subject& subject) {
  Problems problems;
  const auto model = subject.make();
  for (size_t i = 0; i < model->metrics().size(); ++i)
    append(problems, check_merging(subject, [&] { return std::move(model->metrics().at(i)); }));
  return problems;
}

std::string no_metrics(const Subject& subject) {
  return subject.make()->metrics().empty() ? "it has no metrics of its own" : "";
}

Problems directory_fits(const Subject& subject) {
  Problems problems;
  const auto model = subject.make();
  const ModelDirectory directory = model->model_directory();
  model->check_compatible(directory.files);
  if (directory.files.empty())
    problems.push_back("model_directory() has no file: nothing says how to read a checkpoint");
  std::set<std::string> components;
  for (const auto& component : directory.components) components.insert(component.component);
  for (const auto& layer : model->layers())
    if (!components.contains(layer.component))
      problems.push_back("model_directory() has no place for component '" + layer.component +
                         "' of layer " + layer.name);
  return problems;
}

/// What a sampler prints, under "", and the files that it saves, by name.
std::map<std::string, std::string> generate(const Subject& subject, const Architecture& model) {
  CutModel predictor(model, {});
  std::map<std::string, std::string> results;
  SamplerContext context;
  context.tokenizer = subject.tokenizer;
  context.files = subject.files;
  context.print = [&](std::string_view part) { results[""] += part; };
  context.save = [&](const std::string& name, std::string_view content) {
    if (!results.try_emplace(name, content).second)
      throw PluginError("the sampler saves '" + name + "' twice");
  };
  model.sampler()->create(*subject.sampler_inputs)->generate(predictor, context);
  return results;
}

Problems sampler_gives_the_same(const Subject& subject) {
  const auto model = subject.make();
  const auto sampler = model->sampler();
  if (!sampler) return {};
  if (!subject.sampler_inputs) {
    std::string keys;
    if (const ConfigNode* required = sampler->schema().find("required"))
      for (const ConfigNode& key : required->items) keys += " --input " + key.scalar + "=...";
    return {"nothing says what to generate from; its sampler needs:" + keys};
  }
  const auto first = generate(subject, *model);
  if (first.empty()) return {"it generated nothing"};
  if (first != generate(subject, *subject.make()))
    return {"the same inputs give another result the next time: draw from a seed that is an input"};
  return {};
}

std::string no_sampler(const Subject& subject) {
  return subject.make()->sampler() ? "" : "it has no sampler";
}

}  // namespace

const std::vector<Check>& architecture_checks() {
  static const std::vector<Check> checks = {
      {"layers are the same every time and take no memory", layers_are_the_same_every_time},
      {"collate is a function of its arguments", collate_is_a_function},
      {"what is trained is declared", everything_trained_is_declared},
      {"every parameter gets a finite gradient", every_parameter_gets_a_gradient},
      {"gradients equal finite differences", compare_gradients},
      {"the same bits come again", same_bits},
      {"nothing is drawn from LibTorch's generator", nothing_from_the_default_generator},
      {"every cut is the uncut model to the bit", every_cut, one_layer},
      {"activations that are computed again are the same to the bit", recomputing_changes_nothing},
      {"an evaluation gives the same again, cut anywhere", evaluation_is_a_function},
      {"several ranks are one process", compare_layouts},
      {"a model directory fits the model that wrote it", directory_fits},
      {"what is saved is loaded to the bit", save_and_load},
      {"metrics merge to what one rank would count", metrics_merge, no_metrics},
      {"a sampler gives the same again", sampler_gives_the_same, no_sampler},
  };
  return checks;
}

}  // namespace triga::conformance
