#include "parallel/pipeline/tie_exchange.h"

#include <algorithm>
#include <set>

namespace triga {

// The same groups in the same order on every rank, also on those that share nothing.
TieExchange::TieExchange(const ModelStages& model, const ParameterStore& store,
                         Communicator& pipeline)
    : store_(store) {
  std::set<std::vector<int>> all;
  for (const auto& [name, stages] : model.sharing())
    if (model.ranks_of(stages).size() > 1) all.insert(stages);
  for (const std::vector<int>& stages : all) {
    const std::vector<int> ranks = model.ranks_of(stages);
    const bool is_mine = std::find(ranks.begin(), ranks.end(), pipeline.rank()) != ranks.end();
    auto group = pipeline.split(is_mine ? 0 : 1, "tied parameters");
    if (is_mine) groups_[stages] = std::move(group);
  }
}

void TieExchange::sum(const GradientReducer& reducer) {
  std::vector<Work> works;
  for (size_t i = 0; i < store_.buckets().size(); ++i) {
    const Bucket& bucket = store_.buckets()[i];
    const auto group = groups_.find(bucket.sharing);
    if (group == groups_.end()) continue;
    works.push_back(group->second->all_reduce(reducer.gradients(i, store_.owned(bucket)),
                                              ReduceOp::kSum, "gradients of tied parameters"));
  }
  for (Work& work : works) work.wait();
}

}  // namespace triga
