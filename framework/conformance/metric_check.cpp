#include "conformance/metric_check.h"

#include <cmath>

#include "conformance/cut_model.h"

namespace triga::conformance {
namespace {

bool are_equal(double a, double b) {
  return (std::isnan(a) && std::isnan(b)) || std::abs(a - b) <= 1e-12 * std::abs(a);
}

}  // namespace

Problems check_merging(const Subject& subject,
                       const std::function<std::unique_ptr<Metric>()>& make) {
  Problems problems;
  const auto whole = make(), part = make(), merged = make();
  const std::string name = whole->name();
  if (name.empty()) return {"a metric has no name"};
  if (make()->name() != name) problems.push_back(name + " has another name every time");
  const auto architecture = subject.make();
  CutModel model(*architecture, {});
  whole->reset();
  merged->reset();
  for (const Batch& batch : {subject.evaluation_batch(*architecture, 0, 3),
                             subject.evaluation_batch(*architecture, 3, 1)}) {
    const Activations outputs = model.evaluate(batch);
    whole->update(batch, outputs);
    part->reset();
    part->update(batch, outputs);
    merged->merge(part->state());
  }
  if (!are_equal(whole->result(), merged->result()))
    problems.push_back(c10::str(name, " is ", whole->result(), " of all samples, and ",
                                merged->result(), " merged from two parts"));
  whole->reset();
  const double fresh = make()->result();
  if (!are_equal(whole->result(), fresh))
    problems.push_back(
        c10::str(name, " is ", whole->result(), " after reset(), ", fresh, " when it is new"));
  return problems;
}

}  // namespace triga::conformance
