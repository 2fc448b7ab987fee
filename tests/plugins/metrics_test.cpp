// The metrics of classifiers and of models of numbers, by hand: over ranks that saw unequal parts of
// a split. (On the models' own outputs they are compared with PyTorch in tests/parity.)
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "common/classification.h"
#include "rnn/squared_error.h"

namespace triga {
namespace {

void update_accuracy(Metric& metric, const at::Tensor& logits, const std::vector<int64_t>& labels) {
  Batch batch;
  batch.fields = {{"labels", at::tensor(labels, at::kLong)}};
  metric.update(batch, {{"logits", logits}});
}

TEST(Accuracy, IsTheShareOfAllSamplesNotTheMeanOfShares) {
  const auto first = common::classification_accuracy();
  const auto second = common::classification_accuracy();
  EXPECT_EQ(first->name(), "accuracy");
  EXPECT_EQ(first->result(), 0);  // of nothing
  update_accuracy(*first, at::tensor({1.f, 2.f, 3.f, 0.f, -5.f, -4.f}).view({3, 2}), {1, 1, 1});
  EXPECT_DOUBLE_EQ(first->result(), 2.0 / 3);
  update_accuracy(*second, at::tensor({0.f, -1.f}).view({1, 2}), {0});
  EXPECT_DOUBLE_EQ(second->result(), 1);
  first->merge(second->state());
  EXPECT_DOUBLE_EQ(first->result(), 3.0 / 4);
  first->merge(common::classification_accuracy()->state());  // of a rank that saw nothing
  EXPECT_DOUBLE_EQ(first->result(), 3.0 / 4);
  first->reset();
  update_accuracy(*first, at::tensor({0.f, 1.f}).view({1, 2}), {0});
  EXPECT_EQ(first->result(), 0);
}

void update_errors(Metric& metric, const at::Tensor& values, const at::Tensor& targets) {
  Batch batch;
  batch.fields = {{"targets", targets}};
  metric.update(batch, {{"values", values}});
}

TEST(ErrorMetrics, AreMeansOverAllValues) {
  const auto first = rnn::error_metrics("values", "targets");
  const auto second = rnn::error_metrics("values", "targets");
  ASSERT_EQ(first.size(), 2);
  const double squared = 0 + 4 + 16 + 0.25, absolute = 0 + 2 + 4 + 0.5;
  const std::pair<const char*, double> expected[] = {{"mse", squared / 4}, {"mae", absolute / 4}};
  for (size_t i = 0; i < 2; ++i) {
    EXPECT_EQ(first[i]->name(), expected[i].first);
    EXPECT_EQ(first[i]->result(), 0);  // of nothing
    update_errors(*first[i], at::tensor({1.f, 2.f, 3.f}).view({1, 3}),
                  at::tensor({1.f, 4.f, -1.f}).view({1, 3}));
    update_errors(*second[i], at::tensor({0.5f}).view({1, 1}), at::tensor({1.f}).view({1, 1}));
    first[i]->merge(second[i]->state());
    EXPECT_DOUBLE_EQ(first[i]->result(), expected[i].second);
    first[i]->reset();
    update_errors(*first[i], at::tensor({3.f}), at::tensor({5.f}));
    EXPECT_DOUBLE_EQ(first[i]->result(), i == 0 ? 4 : 2);
  }
}

TEST(ErrorMetrics, AreAddedUpExactlyWhereManySmallErrorsFollowALargeOne) {
  const auto metrics = rnn::error_metrics("values", "targets");
  const int64_t count = 1 << 20;
  at::Tensor values = at::ones({count}, at::kFloat);
  values[0] = 4096;  // squared 2^24: in fp32, a sum of it and 1 is 2^24 again
  for (const auto& metric : metrics) update_errors(*metric, values, at::zeros({count}, at::kFloat));
  EXPECT_DOUBLE_EQ(metrics[0]->result(), ((1 << 24) + count - 1.0) / static_cast<double>(count));
  EXPECT_DOUBLE_EQ(metrics[1]->result(), (4096 + count - 1.0) / static_cast<double>(count));
}

}  // namespace
}  // namespace triga
