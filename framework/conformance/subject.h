// What the conformance suite looks at, and what a check is: a claim that every kind of a sort must
// keep, whatever it computes. The same checks run in `triga plugin check`, on any plugin, and in
// Triga's own tests, on those of its tree.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "triga/plugin.h"

namespace triga::conformance {

/// What is wrong, a sentence each; empty: the claim holds.
using Problems = std::vector<std::string>;

/// An architecture with options, and with samples that it can read.
struct Subject {
  std::string plugin;  // for what it throws
  std::function<std::unique_ptr<Architecture>()> make;
  std::function<Sample(int64_t index)> sample;  // for every index from 0 on; thread-safe
  const Tokenizer* tokenizer = nullptr;         // null: none
  std::map<std::string, std::string> files;     // of the model directory: SamplerContext::files
  std::optional<ConfigNode> sampler_inputs;     // empty: nothing is known that could be given
  std::string scratch_dir;                      // absolute, exists; may be written to

  /// The microbatch of `count` samples from `first` on, as training gets them.
  Batch batch(const Architecture& model, int64_t first, int64_t count,
              int64_t microbatch = 0) const;
  /// The same samples as an evaluation gets them.
  Batch evaluation_batch(const Architecture& model, int64_t first, int64_t count,
                         int64_t microbatch = 0) const;
  /// Three of unequal size.
  std::vector<Batch> batches(const Architecture& model) const;
};

/// One claim about a subject.
struct Check {
  const char* claim;  // "gradients equal finite differences"
  Problems (*find_problems)(const Subject& subject);
  /// Why there is nothing to look at: "it has no sampler"; "": there is. Null: there always is.
  std::string (*find_nothing)(const Subject& subject) = nullptr;
};

/// Those that every architecture must keep, in the order in which a failure explains the next ones.
const std::vector<Check>& architecture_checks();

/// What `find_problems` returns; what it throws becomes a problem that names the plugin.
Problems problems_of(const std::string& plugin, const std::function<Problems()>& find_problems);

}  // namespace triga::conformance
