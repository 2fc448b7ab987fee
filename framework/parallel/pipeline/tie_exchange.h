// TieExchange: adds up the gradients of what stages on several ranks share (tied weights), after the
// data-parallel ranks of each stage have added up theirs. All of them then hold the same bits, and
// make the same update.
#pragma once

#include <map>
#include <memory>
#include <vector>

#include "comm/communicator.h"
#include "parallel/data_parallel/gradient_reducer.h"
#include "parallel/model_stages.h"

namespace triga {

class TieExchange {
 public:
  /// `pipeline`: the ranks that share a model. All must outlive it. Collective.
  TieExchange(const ModelStages& model, const ParameterStore& store, Communicator& pipeline);

  /// After reducer.finish(). Collective.
  void sum(const GradientReducer& reducer);

 private:
  const ParameterStore& store_;
  std::map<std::vector<int>, std::unique_ptr<Communicator>> groups_;  // by the stages that share
};

}  // namespace triga
