#include "parameters/declarations.h"

#include <gtest/gtest.h>

#include "tests/support/encoder_decoder.h"

namespace triga {
namespace {

TEST(Declarations, AreThoseOfEveryLayer) {
  const auto layers = test::EncoderDecoder().layers();
  const auto declarations = declarations_of(layers);
  ASSERT_EQ(declarations.size(), layers.size());
  std::map<std::string, int> uses;
  for (size_t i = 0; i < layers.size(); ++i) {
    const auto built = layers[i].build();
    ASSERT_EQ(declarations[i].size(), built->parameters().size()) << layers[i].name;
    for (size_t j = 0; j < declarations[i].size(); ++j) {
      const Declaration& declaration = declarations[i][j];
      EXPECT_EQ(declaration.spec.name, built->parameters()[j].spec().name);
      EXPECT_EQ(declaration.component, layers[i].component);
      EXPECT_EQ(declaration.is_trainable, !layers[i].frozen && !declaration.spec.is_buffer);
      ++uses[declaration.spec.name];
    }
  }
  EXPECT_EQ(uses.at("target.weight"), 2);  // tied
}

TEST(Declarations, KnowWhatGroupsFreeze) {
  const auto layers = test::EncoderDecoder().layers();
  GroupRule frozen;
  frozen.match = "^source\\.";
  frozen.frozen = true;
  GroupRule other;
  other.match = "target";
  for (const auto& of_layer : declarations_of(layers, {frozen, other}))
    for (const Declaration& declaration : of_layer) {
      if (declaration.spec.name == "source.weight") EXPECT_FALSE(declaration.is_trainable);
      if (declaration.spec.name == "target.weight") EXPECT_TRUE(declaration.is_trainable);
    }
}

}  // namespace
}  // namespace triga
