// Operations, and how one may differ from another, for what compares them.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "comm/opening.h"

namespace triga::testing {

inline Operation operation(OperationKind kind, int64_t numel, const std::string& what) {
  Operation operation;
  operation.kind = kind;
  operation.type = at::kFloat;
  operation.numel = numel;
  operation.what = what;
  operation.step = 7;
  return operation;
}

inline Operation all_reduce(int64_t numel) {
  return operation(OperationKind::kAllReduce, numel, "bucket 3");
}

struct Difference {
  std::string name;
  std::function<void(Operation&)> change;  // makes what rank 1 does of what rank 0 does
  Operation of_rank_0;
  std::string words_of_rank_0, words_of_rank_1;
};

inline std::vector<Difference> differences() {
  const Operation reduce = all_reduce(5);
  const Operation broadcast = operation(OperationKind::kBroadcast, 5, "x");
  const std::string words = "all_reduce sum of 5 fp32 \"bucket 3\" (step 7)";
  return {
      {"Kind", [](Operation& other) { other.kind = OperationKind::kAllGather; }, reduce, words,
       "all_gather of 5 fp32 \"bucket 3\" (step 7)"},
      {"NumberOfElements", [](Operation& other) { other.numel = 6; }, reduce, words,
       "all_reduce sum of 6 fp32 \"bucket 3\" (step 7)"},
      {"Type", [](Operation& other) { other.type = at::kBFloat16; }, reduce, words,
       "all_reduce sum of 5 bf16 \"bucket 3\" (step 7)"},
      {"Reduction", [](Operation& other) { other.op = ReduceOp::kMax; }, reduce, words,
       "all_reduce max of 5 fp32 \"bucket 3\" (step 7)"},
      {"Name", [](Operation& other) { other.what = "bucket 4"; }, reduce, words,
       "all_reduce sum of 5 fp32 \"bucket 4\" (step 7)"},
      {"Root", [](Operation& other) { other.root = 1; }, broadcast,
       "broadcast from rank 0 of 5 fp32 \"x\" (step 7)",
       "broadcast from rank 1 of 5 fp32 \"x\" (step 7)"},
  };
}

}  // namespace triga::testing
