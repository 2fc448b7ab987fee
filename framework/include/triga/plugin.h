// Plugin: a shared library that registers what it brings, each thing by name with its config
// struct. A plugin ends with
//
//   TRIGA_PLUGIN(transformer, "0.1.0") {
//     registry.architectures.add<Gpt2Config>(
//         "gpt2", "Decoder-only language model (Radford et al. 2019).",
//         [](const Gpt2Config& config, const ArchitectureContext& context) {
//           return std::make_unique<Gpt2>(config, context);
//         });
//   }
//
// which exports one symbol, the descriptor, and puts its stamp into an ELF note that is read before
// the file is loaded: no code of a plugin built for another Triga or LibTorch ever runs.
#pragma once

#include <torch/version.h>

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "triga/architecture.h"
#include "triga/config.h"
#include "triga/dataset.h"
#include "triga/metric.h"
#include "triga/optimizer.h"
#include "triga/tokenizer.h"

namespace triga {

/// Changes with the headers in include/triga, and only with them.
#define TRIGA_ABI_NUMBER 4

/// One thing that an experiment can name: `{kind: NAME, ...}`, `{plugin: PLUGIN, kind: NAME, ...}`.
template <class Product, class Context>
struct Kind {
  std::string name;
  std::string plugin;  // who registered it; "" for the core
  std::string help;
  std::function<std::unique_ptr<Product>(const ConfigNode& config, const Context& context)> create;
  /// The config with every default filled in. Throws: ConfigError with all that is wrong in it.
  std::function<ConfigNode(const ConfigNode& config, const ConfigScope& scope)> resolve;
  std::function<ConfigNode()> schema;  // JSON Schema of the config
};

/// The kinds of one sort of thing.
template <class Product, class Context>
class Catalog {
 public:
  using Entry = Kind<Product, Context>;

  /// `Config`: a described struct. Throws: PluginError when this plugin has a kind of that name
  /// already.
  template <class Config>
  void add(std::string name, std::string help,
           std::function<std::unique_ptr<Product>(const Config&, const Context&)> create) {
    for (const auto& kind : kinds_)
      if (kind.name == name && kind.plugin == plugin_)
        throw PluginError(c10::str("plugin '", plugin_, "' registers '", name, "' twice"));
    Entry kind;
    kind.name = std::move(name);
    kind.plugin = plugin_;
    kind.help = std::move(help);
    kind.create = [create](const ConfigNode& config, const Context& context) {
      return create(read_config<Config>(config), context);
    };
    kind.resolve = [](const ConfigNode& config, const ConfigScope& scope) {
      return write_config(read_config<Config>(config, scope));
    };
    kind.schema = [] { return config_schema<Config>(); };
    kinds_.push_back(std::move(kind));
  }

  /// For the plugin host: takes a kind of a plugin as it is.
  void adopt(Entry kind) { kinds_.push_back(std::move(kind)); }

  const std::vector<Entry>& kinds() const { return kinds_; }

 private:
  friend class Registry;
  std::string plugin_;
  std::vector<Entry> kinds_;
};

/// All that the core and the opened plugins bring.
class Registry {
 public:
  Catalog<Architecture, ArchitectureContext> architectures;
  Catalog<Dataset, DatasetContext> datasets;
  Catalog<Tokenizer, TokenizerContext> tokenizers;
  Catalog<Optimizer, OptimizerContext> optimizers;
  Catalog<LearningRateSchedule, LearningRateScheduleContext> learning_rate_schedules;
  Catalog<Metric, MetricContext> metrics;

  /// For the plugin host: what is added from now on belongs to this plugin.
  void set_plugin(const std::string& name) {
    architectures.plugin_ = datasets.plugin_ = tokenizers.plugin_ = optimizers.plugin_ =
        learning_rate_schedules.plugin_ = metrics.plugin_ = name;
  }
};

/// What a plugin's one exported symbol, `triga_plugin`, points at.
struct PluginDescriptor {
  const char* name;
  const char* version;
  void (*register_kinds)(Registry& registry);
};

/// The stamp as text in the ELF note of type 1 and owner "Triga": `key=value` lines.
#define TRIGA_STRINGIFY_(x) #x
#define TRIGA_STRINGIFY(x) TRIGA_STRINGIFY_(x)
#define TRIGA_STAMP \
  "abi=" TRIGA_STRINGIFY(TRIGA_ABI_NUMBER) "\n"                 \
  "libtorch=" TORCH_VERSION "\n"                                \
  "cxx11_abi=" TRIGA_STRINGIFY(_GLIBCXX_USE_CXX11_ABI) "\n"     \
  "cxx_standard=" TRIGA_STRINGIFY(__cplusplus) "\n"

namespace detail {
/// Layout of an ELF note (man 5 elf, Nhdr), padded to four bytes.
template <size_t N>
struct alignas(4) StampNote {
  uint32_t name_bytes = 6, text_bytes = N, type = 1;
  char name[8] = "Triga";
  char text[(N + 3) / 4 * 4] = {};
};
template <size_t N>
constexpr StampNote<N> make_stamp(const char (&text)[N]) {
  StampNote<N> note;
  for (size_t i = 0; i < N; ++i) note.text[i] = text[i];
  return note;
}
}  // namespace detail
}  // namespace triga

/// Put once into a plugin, followed by the body of a function of `triga::Registry& registry`.
#define TRIGA_PLUGIN(plugin_name, plugin_version)                               \
  static void triga_register_kinds(::triga::Registry& registry);                \
  extern "C" __attribute__((visibility("default"), used))                       \
  const ::triga::PluginDescriptor triga_plugin = {#plugin_name, plugin_version, \
                                                  &triga_register_kinds};       \
  __attribute__((section(".note.triga"), used, aligned(4),                      \
                 visibility("default"))) extern const auto triga_plugin_stamp = \
      ::triga::detail::make_stamp(TRIGA_STAMP);                                 \
  static void triga_register_kinds(::triga::Registry& registry)
