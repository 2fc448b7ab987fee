// ParameterStore: owns the parameters and gradients of the layers that a rank has. Trainable
// parameters lie in one flat fp32 buffer in *backward order* (the order in which their gradients
// become complete), cut into buckets; modules hold views of it, and gradients are views of a second
// buffer of the same layout. So reducing, clipping and updating are each a few calls on long
// ranges, and a gradient never has to be copied.
//
//   flat:  [ bucket 0: lm_head, h.3 ... | pad ][ bucket 1: h.2 ... | pad ] ... [ last bucket: ...
//   wte, wpe | pad ]
//
// Padding is zero in every buffer and stays zero. A parameter that several layers declare (the same
// name) is stored once, at the place of the first layer that declares it, for there its gradient is
// complete last.
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
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
  at::Tensor gradient;  // a view; undefined: not trainable
};

/// Elements [begin, end) of the flat buffers, padding included, and the parameters inside.
struct Bucket {
  int64_t begin = 0;
  int64_t end = 0;
  std::vector<size_t> parameters;  // indices into ParameterStore::parameters()
};

struct StoreOptions {
  int64_t bucket_bytes = 4 << 20;
  int64_t bucket_alignment = 16;  // elements; a multiple of 16 times the ranks that share a bucket
  std::vector<GroupRule> groups;
};

class ParameterStore {
 public:
  /// Gives a zeroed 1-D fp32 tensor of so many elements.
  using Allocate = std::function<at::Tensor(int64_t numel)>;

  struct OwnedLayer {
    const LayerSpec* spec;
    const Layer* layer;
  };

  /// Binds every parameter of `layers`, given in forward order. `allocate_gradients` may give
  /// communication memory. Groups may match parameters that other ranks have. Throws: Error for two
  /// declarations of one name that differ.
  ParameterStore(const std::vector<OwnedLayer>& layers, const StoreOptions& options,
                 const Allocate& allocate_gradients);

  /// All, in the order of the layers.
  const std::vector<StoredParameter>& parameters() const { return parameters_; }
  const StoredParameter* find(std::string_view name) const;
  const std::vector<Bucket>& buckets() const { return buckets_; }

  const at::Tensor& flat_values() const { return flat_values_; }        // fp32 [n]
  const at::Tensor& flat_gradients() const { return flat_gradients_; }  // fp32 [n]
  int64_t num_trainable() const { return num_trainable_; }              // without padding

  /// Draws every value from (seed, parameter name), whatever layout or device.
  void initialize(uint64_t seed);
  /// The same for one parameter.
  void initialize(const StoredParameter& parameter, uint64_t seed);

  void zero_gradients();

  /// Runs of the flat buffers whose parameters belong to one group: what an optimizer updates in
  /// one call.
  struct Run {
    int64_t begin = 0;
    int64_t end = 0;
    OptimizerGroup group;
  };
  std::vector<Run> runs() const;

 private:
  void declare(const OwnedLayer& layer,
               std::unordered_map<std::string, std::vector<Parameter>>& handles);
  void apply_groups(const std::vector<GroupRule>& rules);
  void lay_out(const StoreOptions& options);
  void bind(const std::unordered_map<std::string, std::vector<Parameter>>& handles);

  std::vector<StoredParameter> parameters_;
  std::vector<int> layer_of_;       // of parameters_[i]: index of the layer that declared it first
  std::vector<size_t> flat_order_;  // trainable parameters in the order of the flat buffer
  std::unordered_map<std::string, size_t> index_;
  std::vector<Bucket> buckets_;
  at::Tensor flat_values_, flat_gradients_;
  int64_t num_trainable_ = 0;
};

}  // namespace triga
