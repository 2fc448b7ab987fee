// What layers of different stages say of a parameter that they share.
#include "parallel/model_stages.h"

#include <gmock/gmock.h>

#include "tests/support/message_of.h"
#include "tests/support/tanh_model.h"

namespace triga {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::triga::test::message_of;

class SharingLayer final : public Layer {
 public:
  explicit SharingLayer(int64_t size) { parameter("table", {size}, Init::zeros()); }
  Activations forward(const Activations&, LayerContext&) override { return {}; }
};

/// Two layers that share "table".
class SharingModel final : public Architecture {
 public:
  SharingModel(int64_t first_size, int64_t second_size, bool second_is_frozen)
      : sizes_{first_size, second_size}, second_is_frozen_(second_is_frozen) {}

  std::vector<LayerSpec> layers() const override {
    std::vector<LayerSpec> specs(2);
    for (size_t i = 0; i < specs.size(); ++i) {
      specs[i].name = i == 0 ? "first" : "second";
      specs[i].build = [size = sizes_[i]] { return std::make_unique<SharingLayer>(size); };
    }
    specs[1].frozen = second_is_frozen_;
    return specs;
  }
  std::unique_ptr<Loss> loss() const override { return std::make_unique<test::SumLoss>(); }
  Batch collate(const std::vector<Sample>&, const CollateContext&) const override { return {}; }
  ModelDirectory model_directory() const override { return {}; }
  void check_compatible(const std::map<std::string, std::string>&) const override {}

 private:
  int64_t sizes_[2];
  bool second_is_frozen_;
};

void make_stages(const SharingModel& model) {
  const test::SumLoss loss;
  ModelStages(model, loss, {0, 1, 2}, {0, 1}, /*rank=*/0);
}

TEST(SharedParameter, IsTheSameOnAllStages) {
  EXPECT_NO_THROW(make_stages({3, 3, false}));
  for (const SharingModel& model : {SharingModel(3, 4, false), SharingModel(3, 3, true)})
    EXPECT_THAT(message_of<PluginError>([&] { make_stages(model); }),
                AllOf(HasSubstr("layers 'first' and 'second' share parameter 'table'"),
                      HasSubstr("do not agree on its shape, or on whether it is trained")));
}

}  // namespace
}  // namespace triga
