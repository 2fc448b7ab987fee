#include "checkpoint/initialize.h"

#include <c10/core/ScalarType.h>

#include <set>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "checkpoint/guard.h"

namespace triga {
namespace {

// A model directory may hold a vocabulary of some MB; larger text is not a config.
constexpr uint64_t kMaxModelFileBytes = uint64_t{64} << 20;

constexpr char kTrainingFolder[] = "training";  // of a checkpoint: no library's business

bool is_model_file(const std::string& name) {
  return (name.ends_with(".json") && !name.ends_with(".index.json")) || name.ends_with(".txt") ||
         name.ends_with(".md");
}

}  // namespace

InitPlan plan_initialization(const TensorFiles& files, const Architecture& architecture,
                             const std::vector<ParameterSpec>& parameters,
                             const InitOptions& options) {
  InitPlan plan;
  std::map<std::string, const ParameterSpec*> known;
  for (const auto& spec : parameters) known[spec.name] = &spec;

  std::vector<std::string> problems;
  for (const auto& stored : files.names()) {
    const auto name = architecture.parameter_name(stored);
    if (!name) continue;
    const auto spec = known.find(*name);
    if (spec == known.end()) {
      plan.unexpected.push_back(stored);
      continue;
    }
    if (options.reinitialize && options.reinitialize(*name)) continue;
    const TensorInfo& info = *files.find(stored);
    if (info.shape != spec->second->shape)
      problems.push_back(fmt::format("{} is {}, but the model has [{}]", stored, describe(info),
                                     fmt::join(spec->second->shape, ", ")));
    if (!c10::isFloatingType(info.dtype))
      problems.push_back(
          fmt::format("{} is {}, which is not floating point", stored, describe(info)));
    if (const auto [first, is_new] = plan.stored.emplace(*name, stored); !is_new)
      problems.push_back(fmt::format("{} and {} are both {}", first->second, stored, *name));
  }
  for (const auto& spec : parameters) {
    if (options.reinitialize && options.reinitialize(spec.name)) {
      plan.reinitialized.push_back(spec.name);
    } else if (!plan.stored.contains(spec.name)) {
      plan.missing.push_back(spec.name);
    }
  }
  if (options.strict) {
    for (const auto& name : plan.missing) problems.push_back(name + " is missing");
    for (const auto& name : plan.unexpected) problems.push_back(name + " is not expected");
  }
  if (problems.empty()) return plan;
  throw CheckpointError(
      fmt::format("{} does not fit the model:\n  {}{}", files.where(), fmt::join(problems, "\n  "),
                  options.strict && (!plan.missing.empty() || !plan.unexpected.empty())
                      ? "\n  (init.strict: false lets missing ones be drawn and ignores unexpected "
                        "ones; init.reinitialize names those to draw)"
                      : ""));
}

std::map<std::string, std::string> read_model_files(FileSystem& files, const Path& directory) {
  return as_checkpoint([&] {
    std::map<std::string, std::string> texts;
    const auto read_folder = [&](const std::string& prefix) {
      for (const auto& name : files.list(directory / prefix))
        if (const Path path = directory / (prefix + name);
            is_model_file(name) && files.kind(path) != FileKind::kDirectory &&
            files.size(path) <= kMaxModelFileBytes)
          texts[prefix + name] = read_text(files, path);
    };
    read_folder("");
    for (const auto& name : files.list(directory))
      if (name != kTrainingFolder && files.kind(directory / name) == FileKind::kDirectory)
        read_folder(name + "/");
    return texts;
  });
}

}  // namespace triga
