#include "plugin_host/plugin_host.h"

#include "base/plugin_call.h"
#include "plugin_host/library.h"
#include "plugin_host/plugin_file.h"

namespace triga {
namespace {

/// Moves the kinds of a plugin into the registry of all, so that what their functions throw carries
/// the plugin's name.
template <class Product, class Context>
void adopt(Catalog<Product, Context>& all, const Catalog<Product, Context>& own) {
  for (auto kind : own.kinds()) {
    kind.create = [create = kind.create, plugin = kind.plugin](const auto& config,
                                                               const auto& context) {
      return in_plugin(plugin, [&] { return create(config, context); });
    };
    all.adopt(std::move(kind));
  }
}

void adopt(Registry& all, const Registry& own) {
  adopt(all.architectures, own.architectures);
  adopt(all.datasets, own.datasets);
  adopt(all.tokenizers, own.tokenizers);
  adopt(all.optimizers, own.optimizers);
  adopt(all.learning_rate_schedules, own.learning_rate_schedules);
  adopt(all.metrics, own.metrics);
}

}  // namespace

const OpenPlugin& PluginHost::open(const std::string& name_or_path) {
  const auto path = search_path_.find(name_or_path);
  if (const auto* plugin = find_open(path)) return *plugin;
  const auto file = PluginFile::inspect(path);
  try_in_child(file, trial_);
  const auto& descriptor = load_plugin(file);
  check_name(descriptor, path, name_or_path);
  adopt(registry_, registered_kinds(descriptor, file));
  return opened_.emplace_back(
      OpenPlugin{descriptor.name, descriptor.version, path, file.content_hash});
}

const OpenPlugin* PluginHost::find_open(const std::filesystem::path& path) const {
  for (const auto& plugin : opened_) {
    std::error_code error;
    if (std::filesystem::equivalent(plugin.path, path, error)) return &plugin;
  }
  return nullptr;
}

void PluginHost::check_name(const PluginDescriptor& descriptor, const std::filesystem::path& path,
                            const std::string& wanted) const {
  if (wanted.find('/') == std::string::npos && wanted != descriptor.name)
    throw PluginError(c10::str(path.string(), " holds the plugin '", descriptor.name,
                               "': rename the file to ", descriptor.name,
                               ".so, or write its path in place of the name"));
  for (const auto& plugin : opened_)
    if (plugin.name == descriptor.name)
      throw PluginError(c10::str("two plugins are named '", plugin.name, "':\n  ",
                                 plugin.path.string(), "\n  ", path.string(),
                                 "\nOne process can open only one of them."));
}

}  // namespace triga
