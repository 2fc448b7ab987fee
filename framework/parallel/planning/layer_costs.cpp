#include "parallel/planning/layer_costs.h"

#include <ATen/DeviceAccelerator.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/full_like.h>
#include <ATen/ops/zeros.h>
#include <c10/core/GradMode.h>
#include <c10/util/accumulate.h>

#include <algorithm>
#include <chrono>
#include <deque>
#include <map>
#include <numeric>

#include "base/memory_meter.h"
#include "optim/flat_optimizer.h"
#include "optim/gradient_norm.h"
#include "parallel/data_parallel/gradient_reducer.h"
#include "parallel/on_device.h"
#include "parallel/pipeline/flow.h"
#include "parameters/declarations.h"

namespace triga {
namespace {

using Clock = std::chrono::steady_clock;

/// Of all but the first, which touches memory for the first time. The mean, and not the median: a step
/// has to wait for its slow moments as well. Requires: two values or more.
double mean(const std::vector<double>& seconds) {
  return std::accumulate(seconds.begin() + 1, seconds.end(), 0.0) /
         static_cast<double>(seconds.size() - 1);
}

double fastest(const std::vector<double>& values) {
  return *std::min_element(values.begin(), values.end());
}

/// Seconds of an action on a device, its work done.
template <class Action>
double seconds_of(at::Device device, const Action& action) {
  const auto start = Clock::now();
  action();
  if (!device.is_cpu()) at::accelerator::synchronizeDevice(device.index());
  return std::chrono::duration<double>(Clock::now() - start).count();
}

/// Between two turns of a layer all others have theirs, and what it left in the processor's caches is
/// gone: a layer that is run over and over would look faster than it is.
class CacheSweep {
 public:
  /// `bytes`: what a microbatch of the whole model touches.
  CacheSweep(int64_t bytes, at::Device device) {
    constexpr int64_t kMost = 64 << 20;  // more takes time and evicts no more
    if (device.is_cpu()) scratch_ = at::zeros({std::min(bytes, kMost)}, at::kByte);
  }
  /// `next`: what the layer before has just written, so in the caches.
  void run(const Activations& next) {
    if (!scratch_.defined()) return;
    scratch_.bitwise_not_();
    for (const auto& [name, tensor] : next)
      if (tensor.defined()) tensor.detach().clone();
  }

 private:
  at::Tensor scratch_;
};

/// One layer as a stage of its own, with parameters, gradients and an optimizer.
class LayerTrial {
 public:
  LayerTrial(const std::vector<LayerSpec>& layers, size_t index, const StageFlow& flow,
             const Loss& loss, Communicator& alone, const CostMeasurement& measurement)
      : measurement_(measurement),
        alone_(alone),
        loss_(loss),
        is_last_(index + 1 == layers.size()),
        stage_(layers, index, index + 1, flow, loss),
        store_(
            {{&layers[index], stage_.layers()[0].layer.get(), 0}},
            store_options(alone, measurement),
            [&alone](int64_t numel, at::ScalarType type) { return alone.allocate(numel, type); }),
        reducer_(store_, alone, /*zero=*/0),
        optimizer_(measurement.make_optimizer(), store_, [this](size_t bucket, FlatRange range) {
          return reducer_.gradients(bucket, range);
        }) {
    store_.initialize(measurement.seed);
  }

  /// `outputs`: what the layer wrote, without history.
  void measure_memory(const Activations& inputs, const Batch& batch, LayerCost& cost,
                      Activations& outputs) {
    const int64_t before = bytes_now();
    MemoryMeter::reset_peak(alone_.device());
    StageRun run = forward(inputs, batch);
    cost.kept_bytes = bytes_now() - before;
    cost.forward_peak_bytes = bytes_at_peak() - before;
    for (const auto& [name, tensor] : run.outputs) {
      cost.output_bytes[name] = static_cast<int64_t>(tensor.nbytes());
      outputs.set(name, tensor.detach().clone().set_requires_grad(tensor.requires_grad()));
    }
    const Activations gradients = gradients_of(run);
    const int64_t between = bytes_now();
    MemoryMeter::reset_peak(alone_.device());
    pass([&] { stage_.backward(std::move(run), gradients, scale_for(batch)); });
    cost.backward_peak_bytes = bytes_at_peak() - between;
  }

  void measure_time(const Activations& inputs, const Batch& batch, CacheSweep& sweep,
                    LayerCost& cost) {
    constexpr size_t kLeast = 5, kMost = 50;
    const at::Device device = alone_.device();
    std::vector<double> forwards, backwards, input_parts, weight_parts, updates;
    const auto start = Clock::now();
    const auto is_enough = [&] {
      return forwards.size() >= kMost ||
             (forwards.size() >= kLeast &&
              std::chrono::duration<double>(Clock::now() - start).count() >
                  measurement_.seconds_each);
    };
    while (!is_enough()) {
      StageRun run;
      sweep.run(inputs);
      forwards.push_back(seconds_of(device, [&] { run = forward(inputs, batch); }));
      const Activations gradients = gradients_of(run);
      sweep.run(gradients);
      pass([&] {
        backwards.push_back(seconds_of(
            device, [&] { stage_.backward(std::move(run), gradients, scale_for(batch)); }));
      });
      sweep.run({});
      updates.push_back(seconds_of(device, [&] { update(); }));
      if (measurement_.recompute != Recompute::kNone) continue;  // backward has no parts
      run = forward(inputs, batch);
      sweep.run(gradients);
      pass([&] {
        Stage::InputGradients first;
        input_parts.push_back(seconds_of(device, [&] {
          first = stage_.backward_inputs(std::move(run), gradients, scale_for(batch));
        }));
        weight_parts.push_back(seconds_of(device, [&] { first.rest.run_weights(); }));
      });
    }
    cost.forward = mean(forwards);
    cost.backward = mean(backwards);
    cost.update = mean(updates);
    cost.backward_input = input_parts.empty() ? cost.backward : mean(input_parts);
    cost.backward_weight = weight_parts.empty() ? 0 : mean(weight_parts);
  }

 private:
  static StoreOptions store_options(const Communicator& alone, const CostMeasurement& measurement) {
    StoreOptions options;
    options.compute_type = measurement.compute_type;
    options.device = alone.device();
    options.groups = measurement.groups;
    return options;
  }

  StageRun forward(const Activations& inputs, const Batch& batch) {
    StepContext context;
    context.seed = measurement_.seed;
    context.statistics = &statistics_;
    context.recompute = measurement_.recompute;
    return stage_.forward(inputs, batch, context);
  }

  /// As small as gradients are. Nobody reads what the last layer writes but the loss.
  Activations gradients_of(const StageRun& run) const {
    Activations gradients;
    if (is_last_) return gradients;
    for (const auto& [name, tensor] : run.outputs)
      if (tensor.requires_grad()) gradients.set(name, at::full_like(tensor.detach(), 1e-3));
    return gradients;
  }

  LossScale scale_for(const Batch& batch) const {
    return [this, &batch](const std::string& name) {
      const double count = loss_.count(batch, name);
      return count > 0 ? 1 / count : 0;
    };
  }

  template <class Backward>
  void pass(const Backward& backward) {
    reducer_.begin_step();
    reducer_.begin_pass(0, /*is_last=*/true);
    backward();
    reducer_.end_pass();
    reducer_.finish();
  }

  int64_t bytes_now() const { return MemoryMeter::use(alone_.device()).now_bytes; }
  int64_t bytes_at_peak() const { return MemoryMeter::use(alone_.device()).peak_bytes; }

  void update() {
    const c10::AutoGradMode no_grad(false);
    std::vector<at::Tensor> gradients;
    for (size_t i = 0; i < store_.buckets().size(); ++i)
      gradients.push_back(reducer_.gradients(i, store_.buckets()[i].range));
    sum_of_squares(gradients);
    optimizer_.begin_step();
    for (size_t i = 0; i < store_.buckets().size(); ++i) {
      optimizer_.update(i, /*learning_rate=*/1e-9, /*gradient_scale=*/1);
      store_.publish(i);
    }
  }

  const CostMeasurement& measurement_;
  Communicator& alone_;
  const Loss& loss_;
  bool is_last_;
  Stage stage_;
  ParameterStore store_;
  GradientReducer reducer_;
  FlatOptimizer optimizer_;
  StatisticSums statistics_;
};

std::string without_digits(std::string text) {
  std::erase_if(text, [](char c) { return c >= '0' && c <= '9'; });
  return text;
}

/// Two layers with the same description do the same work: names but for their numbers, shapes of
/// parameters and of what is read.
std::string description_of(const LayerSpec& spec, const Layer& layer, const Activations& inputs) {
  std::string text = without_digits(spec.name) + (spec.frozen ? " frozen" : "");
  const auto add_sizes = [&text](at::IntArrayRef sizes) {
    for (const int64_t size : sizes) text += " " + std::to_string(size);
  };
  for (const Parameter& parameter : layer.parameters()) {
    text += "\n" + without_digits(parameter.spec().name);
    add_sizes(parameter.spec().shape);
  }
  for (const std::string& name : spec.reads) {
    const at::Tensor& tensor = inputs[name];
    text += "\nreads " + name;
    if (!tensor.defined()) continue;
    text += c10::str(" ", tensor.scalar_type(), tensor.requires_grad() ? " with gradient" : "");
    add_sizes(tensor.sizes());
  }
  for (const std::string& name : spec.writes) text += "\nwrites " + name;
  return text;
}

int64_t parameter_bytes(const Layer& layer) {
  int64_t numel = 0;
  for (const Parameter& parameter : layer.parameters())
    numel += c10::multiply_integers(parameter.spec().shape);
  return numel * int64_t{sizeof(float)};
}

/// One copy into a message and one out of it.
double measure_transfer(at::Device device) {
  constexpr int64_t kBytes = 8 << 20;
  const auto options = at::TensorOptions().dtype(at::kByte).device(device);
  const at::Tensor from = at::zeros({kBytes}, options);
  at::Tensor to = at::zeros({kBytes}, options);
  std::vector<double> seconds;
  for (int i = 0; i < 5; ++i) seconds.push_back(seconds_of(device, [&] { to.copy_(from); }));
  return kBytes / (2 * fastest(seconds));
}

std::vector<size_t> every_layer(size_t num_layers) {
  std::vector<size_t> bounds(num_layers + 1);
  std::iota(bounds.begin(), bounds.end(), size_t{0});
  return bounds;
}

}  // namespace

void average_times(LayerCosts& costs, const std::vector<LayerCosts>& measured) {
  for (size_t i = 0; i < costs.layers.size(); ++i)
    for (const auto time : {&LayerCost::forward, &LayerCost::backward, &LayerCost::backward_input,
                            &LayerCost::backward_weight, &LayerCost::update}) {
      double sum = 0;
      for (const LayerCosts& one : measured) sum += one.layers[i].*time;
      costs.layers[i].*time = sum / static_cast<double>(measured.size());
    }
}

LayerCosts measure_layers(const Architecture& architecture, const Batch& batch, Communicator& alone,
                          const CostMeasurement& measurement) {
  const std::vector<LayerSpec> layers = layers_of(architecture);
  const std::unique_ptr<Loss> loss = architecture.loss();
  const std::vector<StageFlow> flow = flow_between(layers, every_layer(layers.size()));
  const Batch on_device = batch_on_device(batch, alone.device());
  struct Known {
    size_t layer;  // the first one
    Activations inputs, outputs;
    LayerCost cost;
  };
  LayerCosts costs;
  std::deque<Known> known;
  std::map<std::string, Known*> by_description;
  std::vector<Known*> of_layer;
  Activations live;  // the newest of every name
  for (size_t i = 0; i < layers.size(); ++i) {
    Activations inputs;
    for (const std::string& name : flow[i].inputs) inputs.set(name, live[name]);
    const std::unique_ptr<Layer> layer = layers[i].build();
    const std::string description =
        description_of(layers[i], *layer, inputs) + (i + 1 == layers.size() ? "\nlast" : "");
    const auto [place, is_new] = by_description.try_emplace(description, nullptr);
    if (is_new) place->second = &known.emplace_back(Known{i, inputs, {}, {}});
    Known& one = *place->second;
    if (is_new)
      LayerTrial(layers, i, flow[i], *loss, alone, measurement)
          .measure_memory(inputs, on_device, one.cost, one.outputs);
    of_layer.push_back(&one);
    for (const auto& [name, tensor] : one.outputs) live.set(name, tensor);
    costs.touched_bytes += one.cost.kept_bytes + 2 * parameter_bytes(*layer);  // and gradients
  }
  CacheSweep sweep(measurement.touched_bytes.value_or(costs.touched_bytes), alone.device());
  for (Known& one : known) {
    if (measurement.progress) measurement.progress(one.layer, layers.size());
    LayerTrial trial(layers, one.layer, flow[one.layer], *loss, alone, measurement);
    trial.measure_time(one.inputs, on_device, sweep, one.cost);
  }
  for (size_t i = 0; i < layers.size(); ++i) {
    costs.layers.push_back(of_layer[i]->cost);
    costs.layers.back().layer = layers[i].name;
  }
  for (const auto& [name, tensor] : batch.fields)
    costs.batch_bytes += static_cast<int64_t>(tensor.nbytes());
  costs.transfer_bytes_per_second = measure_transfer(alone.device());
  MemoryMeter::reset_peak(alone.device());
  return costs;
}

}  // namespace triga
