// Small stand-ins for the tests of data: a dataset of numbers, an architecture that only collates,
// a temporary folder.
#pragma once

#include <ATen/ops/full.h>
#include <ATen/ops/stack.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <string>
#include <vector>

#include "triga/architecture.h"

namespace triga::testing {

/// Sample i is {"value": [i]}, of length lengths[i] or 1.
class NumberDataset final : public Dataset {
 public:
  explicit NumberDataset(int64_t size) : size_(size) {}
  explicit NumberDataset(std::vector<int64_t> lengths)
      : size_(static_cast<int64_t>(lengths.size())), lengths_(std::move(lengths)) {}
  int64_t size() const override { return size_; }
  Sample get(int64_t index) const override {
    if (before_get) before_get(index);
    return {{"value", at::full({1}, index, at::kLong)}};
  }
  int64_t length(int64_t index) const override {
    return lengths_.empty() ? 1 : lengths_[static_cast<size_t>(index)];
  }
  std::string fingerprint() const override { return "numbers"; }

  std::function<void(int64_t)> before_get;

 private:
  int64_t size_;
  std::vector<int64_t> lengths_;
};

/// Stacks the samples; keeps a random number of each, to see what collate was given.
class CollatingArchitecture final : public Architecture {
 public:
  std::vector<LayerSpec> layers() const override { return {}; }
  std::unique_ptr<Loss> loss() const override { return nullptr; }
  ModelDirectory model_directory() const override { return {}; }
  void check_compatible(const std::map<std::string, std::string>&) const override {}
  Batch collate(const std::vector<Sample>& samples, const CollateContext& context) const override {
    if (before_collate) before_collate(context);
    std::vector<at::Tensor> values, noise;
    for (size_t i = 0; i < samples.size(); ++i) {
      values.push_back(samples[i]["value"]);
      noise.push_back(
          at::full({1}, context.random(static_cast<int64_t>(i), "noise").uniform(), at::kDouble));
    }
    return {.fields = {{"value", at::stack(values)}, {"noise", at::stack(noise)}}};
  }

  std::function<void(const CollateContext&)> before_collate;
};

/// The numbers in a batch of NumberDataset.
inline std::vector<int64_t> values_of(const Batch& batch) {
  if (batch.num_samples == 0) return {};
  const auto& tensor = batch["value"];
  return {tensor.const_data_ptr<int64_t>(), tensor.const_data_ptr<int64_t>() + tensor.numel()};
}

/// A folder that is empty at first and goes with the object.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "triga-test-XXXXXX").string();
    if (mkdtemp(name.data()) == nullptr) throw Error("no temporary folder");
    path_ = name;
  }
  ~TemporaryFolder() { std::filesystem::remove_all(path_); }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  const std::filesystem::path& path() const { return path_; }
  std::string operator/(const std::string& name) const { return (path_ / name).string(); }
  /// Writes a file and the folders to it; gives its path.
  std::string write(const std::string& name, const std::string& content) const {
    const auto file = path_ / name;
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file, std::ios::binary) << content;
    return file.string();
  }

 private:
  std::filesystem::path path_;
};

/// The message of what `f` throws, which must be an E.
template <class E, class F>
std::string message_of(const F& f) {
  try {
    f();
  } catch (const E& error) {
    return error.what();
  } catch (const std::exception& error) {
    ADD_FAILURE() << "threw something else: " << error.what();
    return "";
  }
  ADD_FAILURE() << "threw nothing";
  return "";
}

}  // namespace triga::testing
