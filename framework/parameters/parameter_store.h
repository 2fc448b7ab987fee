// ParameterStore: owns the parameters of the layers that a rank has. Trainable parameters lie in
// one flat buffer in *backward order* (the order in which their gradients become complete), cut
// into buckets; modules hold views of it, and gradients are fp32 views of a second buffer of the
// same layout. So reducing, clipping and updating are each a few calls on long ranges, and a
// gradient is written once, where it is reduced.
//
//   flat:  [ bucket 0: head, h.3 ... | pad ][ bucket 1: h.2 ... | pad ] ... [ ... wte, wpe | pad ]
//            part 0 | part 1 | part 2          one part a data-parallel rank
//
// With sharding (zero 1 and 2) a rank owns its part of every bucket: there it keeps the optimizer's
// state, and, where modules compute in bf16, the fp32 masters that the optimizer changes. Without,
// it owns everything.
//
// A rank of a pipeline has one store for all of its stages. A bucket holds parameters of one stage,
// so that it is complete with that stage's backward pass; what several stages share (tied weights on
// two ranks) lies in buckets of its own at the end, laid out in the same way wherever it is.
//
// Padding is zero in every buffer and stays zero. A parameter that several layers declare (the same
// name) is stored once, at the place of the first layer that declares it, for there its gradient is
// complete last.
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "triga/layer.h"
#include "triga/optimizer.h"

namespace triga {

/// One entry of `optimizer.groups`.
struct GroupRule {
  std::string match;  // regular expression (ECMAScript), searched in the parameter's name
  OptimizerGroup group;
  bool sets_learning_rate_scale = false;
  bool frozen = false;
};

/// Elements [begin, end) of the flat buffers.
struct FlatRange {
  int64_t begin = 0, end = 0;
  int64_t size() const { return end - begin; }
  bool is_empty() const { return end <= begin; }
  FlatRange intersect(FlatRange other) const {
    return {std::max(begin, other.begin), std::min(end, other.end)};
  }
  at::Tensor of(const at::Tensor& flat) const { return flat.slice(0, begin, end); }
};

struct StoredParameter {
  std::string name;
  std::string component;
  std::vector<int64_t> shape;
  Init init;
  bool is_trainable = true;
  bool is_buffer = false;
  OptimizerGroup group;
  int64_t numel = 0;
  int64_t offset = -1;  // elements from the start of the flat buffers; -1: not trainable
  int bucket = -1;
  at::Tensor value;     // what the layers see
  at::Tensor exact;     // fp32, on the CPU of the first rank: of a frozen one that `value` rounds
  at::Tensor gradient;  // fp32 view; undefined: not trainable, or the store has no gradients

  FlatRange range() const { return {offset, offset + numel}; }
};

/// Elements of the flat buffers, padding included, and the parameters inside.
struct Bucket {
  FlatRange range;
  std::vector<size_t> parameters;  // indices into ParameterStore::parameters()
  int stage = 0;                   // that declares them
  std::vector<int> sharing;        // all stages that have them, where these are several
  std::vector<FlatRange> padding;

  /// The buckets' equal parts, one a rank.
  FlatRange part(int index, int num_parts) const {
    const int64_t size = range.size() / num_parts;
    return {range.begin + index * size, range.begin + (index + 1) * size};
  }
};

struct StoreOptions {
  int64_t bucket_bytes = 4 << 20;            // of its gradients
  int num_parts = 1;                         // data-parallel ranks
  int own_part = 0;                          // this rank
  bool is_sharded = false;                   // a rank owns its part of each bucket; else everything
  bool whole_parameters = false;             // parts begin and end between parameters
  bool has_gradients = true;                 // false: whoever reduces them gives them memory
  at::ScalarType compute_type = at::kFloat;  // or bf16: of values and frozen parameters
  at::Device device = at::kCPU;              // where `allocate` gives memory
  std::vector<GroupRule> groups;
  /// Stages that have a parameter, by name, where these are several.
  std::map<std::string, std::vector<int>> sharing;
};

class ParameterStore {
 public:
  /// Gives a zeroed 1-D tensor.
  using Allocate = std::function<at::Tensor(int64_t numel, at::ScalarType type)>;

  struct OwnedLayer {
    const LayerSpec* spec;
    const Layer* layer;
    int stage = 0;
  };

  /// Binds every parameter of `layers`, given in forward order. `allocate` may give communication
  /// memory. Groups may match parameters that other ranks have. Throws: Error for two declarations
  /// of one name that differ.
  ParameterStore(const std::vector<OwnedLayer>& layers, const StoreOptions& options,
                 const Allocate& allocate);

  /// All, in the order of the layers.
  const std::vector<StoredParameter>& parameters() const { return parameters_; }
  const StoredParameter* find(std::string_view name) const;
  const std::vector<Bucket>& buckets() const { return buckets_; }
  const StoreOptions& options() const { return options_; }

  const at::Tensor& flat_values() const { return flat_values_; }        // compute type, [n]
  const at::Tensor& flat_gradients() const { return flat_gradients_; }  // fp32 [n], or undefined
  int64_t num_trainable() const { return num_trainable_; }              // without padding

  /// What this rank owns of a bucket: everything, or its part.
  FlatRange owned(const Bucket& bucket) const;
  /// The part of a bucket that this rank looks at where ranks share work without sharding.
  FlatRange part(const Bucket& bucket) const;
  /// Number of elements that this rank owns.
  int64_t num_owned() const { return num_owned_; }
  /// A view of the owned range of a bucket in a buffer of num_owned() elements.
  at::Tensor owned_view(const at::Tensor& buffer, size_t bucket, FlatRange range) const;
  /// The fp32 values of a range that this rank owns, which the optimizer changes.
  at::Tensor masters(size_t bucket, FlatRange range) const;
  /// All that this rank owns, fp32 [num_owned]. Requires: the values are not fp32 themselves.
  const at::Tensor& masters() const { return masters_; }
  /// After the optimizer changed masters of a bucket: makes the owned values theirs.
  void publish(size_t bucket) const;

  /// Draws every value from (seed, parameter name), whatever layout or device.
  void initialize(uint64_t seed);
  /// The same for one parameter.
  void initialize(const StoredParameter& parameter, uint64_t seed);
  /// Sets a parameter and its masters. `value`: fp32, in the parameter's shape.
  void set(const StoredParameter& parameter, const at::Tensor& value);

  void zero_gradients();

  /// Tells the layers where the gradients of their parameters belong: `sink` and the index in
  /// parameters().
  void set_sink(GradientSink* sink) const;

  /// Runs of a range of the flat buffers whose parameters belong to one group: what an optimizer
  /// updates in one call; or, with whole parameters, one parameter each.
  struct Run {
    FlatRange range;
    OptimizerGroup group;
    const StoredParameter* whole = nullptr;  // null: a flat run
  };
  std::vector<Run> runs(FlatRange range) const;

 private:
  void declare(const OwnedLayer& layer,
               std::unordered_map<std::string, std::vector<Parameter>>& handles);
  void apply_groups(const std::vector<GroupRule>& rules);
  void lay_out();
  std::vector<size_t> backward_order() const;
  void place_buckets(const std::vector<size_t>& parameters);
  void place_bucket(std::vector<size_t> parameters);
  void bind(const std::unordered_map<std::string, std::vector<Parameter>>& handles);

  StoreOptions options_;
  std::vector<StoredParameter> parameters_;
  std::vector<int> layer_of_;       // of parameters_[i]: index of the layer that declared it first
  std::vector<int> stage_of_;       // and the stage of that layer
  std::vector<size_t> flat_order_;  // trainable parameters in the order of the flat buffer
  std::unordered_map<std::string, size_t> index_;
  std::vector<std::pair<size_t, Parameter>> handles_;  // of trainable parameters, by index
  std::vector<Bucket> buckets_;
  std::vector<int64_t> owned_offsets_;  // [bucket] where its elements begin among the owned ones
  int64_t num_owned_ = 0;
  at::Tensor flat_values_, flat_gradients_;
  at::Tensor masters_;  // fp32 [num_owned]; undefined: the values are fp32 themselves
  int64_t num_trainable_ = 0;
};

}  // namespace triga
