// Whole experiments: what is accepted, what is refused and how, and what resolved.yaml holds.
#include "config/resolve.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "config/experiment_schema.h"
#include "config/kind_sections.h"
#include "config/load.h"
#include "config/resume_difference.h"
#include "config/yaml.h"
#include "tests/support/message_of.h"
#include "tests/unit/config/test_registry.h"

namespace triga {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::EndsWith;
using testing::HasSubstr;
using testing::SizeIs;

ResolvedExperiment resolve(const std::vector<std::string>& changes = {}) {
  return resolve_experiment(test_experiment(changes), test_registry());
}

std::vector<std::string> problems_with(const std::vector<std::string>& changes) {
  std::vector<std::string> messages;
  try {
    resolve(changes);
  } catch (const ConfigError& error) {
    for (const auto& problem : error.problems) messages.push_back(problem.message);
  }
  return messages;
}

TEST(Experiment, OfTheDesignIsRead) {
  const auto experiment = resolve().experiment;
  EXPECT_EQ(experiment.name, "gpt2-shakespeare");
  EXPECT_EQ(experiment.model.plugin, "transformer");
  EXPECT_EQ(experiment.model.config.find("num_layers")->scalar, "6");
  EXPECT_EQ(experiment.data.train.kind, "text");
  EXPECT_EQ(experiment.data.train.options.entries.size(), 2u);  // files, take
  EXPECT_EQ(experiment.train.max_steps, 2000);
  EXPECT_EQ(experiment.train.global_batch.samples, 32);
  EXPECT_EQ(experiment.optimizer.learning_rate, 6e-4);
  EXPECT_EQ(experiment.optimizer.groups.at(0).weight_decay, 0);
  EXPECT_EQ(experiment.optimizer.options.find("weight_decay")->scalar, "0.1");
  EXPECT_FALSE(experiment.parallel.dp.has_value());
  EXPECT_EQ(experiment.checkpoint.keep_best->metric, "validation/loss");
}

TEST(Experiment, ResolvesToEveryKeyOfItselfAndOfItsKinds) {
  const auto node = resolve().node;
  EXPECT_EQ(find_path(node, "optimizer.betas")->items.size(), 2u);
  EXPECT_EQ(find_path(node, "optimizer.groups")->items[0].find("frozen")->scalar, "false");
  EXPECT_EQ(find_path(node, "data.train.pack")->scalar, "true");
  EXPECT_EQ(find_path(node, "parallel.dp")->scalar, "auto");
  EXPECT_THAT(find_path(node, "data.train.files")->items[0].scalar,
              EndsWith("/data/tinyshakespeare/input.txt"));
  EXPECT_EQ(find_path(node, "data.train.files")->items[0].scalar[0], '/');
}

TEST(Experiment, ResolvedTextGivesTheSameExperiment) {
  const auto resolved =
      resolve({"optimizer.groups[0].match=wpe$", "data.test={kind: text, files: [a.txt]}"});
  const auto text = write_resolved(resolved.node);
  auto root = parse_yaml(text, "/elsewhere/resolved.yaml");
  expand_variables(root, {});
  const auto again = resolve_experiment(root, test_registry());
  EXPECT_EQ(write_resolved(again.node), text);
  EXPECT_EQ(again.experiment.optimizer.groups.at(0).match, "wpe$");
}

TEST(Experiment, ReadsWhatWasWrittenAsItWas) {
  const auto resolved = resolve({"optimizer.groups[0].match=wpe$",
                                 "data.test={kind: text, files: "
                                 "['$${a}/$$1.txt']}"});
  const auto again = read_resolved(write_resolved(resolved.node), "resolved.yaml");
  EXPECT_TRUE(differences_for_resume(again, resolved.node).empty());
  EXPECT_EQ(find_path(again, "optimizer.groups")->items[0].find("match")->scalar, "wpe$");
  EXPECT_THAT(find_path(again, "data.test.files")->items[0].scalar, EndsWith("/${a}/$1.txt"));
}

TEST(Experiment, ThatCouldNotBeReadAgainIsRefused) {
  std::string files;
  for (int i = 0; i < 9970; ++i) files += c10::str(i == 0 ? "" : ", ", i, ".txt");
  EXPECT_THAT(test::message_of<ConfigError>([&] { resolve({"data.train.files=[" + files + "]"}); }),
              AllOf(HasSubstr("cannot be read when the run is to go on"),
                    HasSubstr("more than 10000 values"), HasSubstr("dir/**/*.txt")));
}

TEST(Experiment, NamesItsPlugins) {
  auto root =
      test_experiment({"data.train.plugin=./parquet.so", "data.validation.plugin=transformer"});
  const auto plugins = named_plugins(root);
  ASSERT_THAT(plugins, SizeIs(2));
  EXPECT_EQ(plugins[0].scalar, "transformer");
  EXPECT_THAT(plugins[0].where(), HasSubstr(": model.plugin"));
  EXPECT_THAT(plugins[1].scalar, EndsWith("/parquet.so"));
  EXPECT_EQ(plugins[1].scalar[0], '/');
}

TEST(Experiment, NamesAndResolvesTheKindOfEachMetric) {
  const std::string metrics =
      "eval.metrics=[{plugin: transformer, kind: recall}, {plugin: transformer, kind: recall, k: "
      "3}]";
  const auto resolved = resolve({metrics});
  EXPECT_EQ(find_path(resolved.node, "eval.metrics[0].k")->scalar, "5");
  EXPECT_EQ(find_path(resolved.node, "eval.metrics[1].k")->scalar, "3");
  EXPECT_EQ(find_path(resolved.node, "eval.metrics[2].k"), nullptr);
  EXPECT_EQ(resolved.experiment.eval.metrics.at(1).options.find("k")->scalar, "3");
  auto root = parse_yaml(write_resolved(resolved.node), "/elsewhere/resolved.yaml");
  EXPECT_EQ(write_resolved(resolve_experiment(root, test_registry()).node),
            write_resolved(resolved.node));

  auto named =
      test_experiment({"eval.metrics=[{plugin: own, kind: a}, {plugin: ./b.so, kind: b}]"});
  const auto plugins = named_plugins(named);
  ASSERT_THAT(plugins, SizeIs(3));  // the model's is the first
  EXPECT_EQ(plugins[1].scalar, "own");
  EXPECT_THAT(plugins[2].scalar, EndsWith("/b.so"));
}

TEST(Experiment, RefusesWhatIsWrongInAMetric) {
  EXPECT_THAT(
      problems_with({"eval.metrics=[{plugin: transformer, kind: recal}]"}),
      ElementsAre(HasSubstr("eval.metrics[0].kind: plugin 'transformer' has no such metric: "
                            "'recal' is not one of: recall")));
  EXPECT_THAT(problems_with({"eval.metrics=[{plugin: transformer, kind: recall, k: 0}]"}),
              ElementsAre(HasSubstr("eval.metrics[0].k: 0 is out of range")));
  EXPECT_THAT(problems_with({"eval.metrics=[{plugin: transformer, kind: recall, j: 1}]"}),
              ElementsAre(HasSubstr("eval.metrics[0].j: unknown key")));
  EXPECT_THAT(problems_with({"eval.metrics=[{plugin: transformer}]"}),
              ElementsAre(HasSubstr("eval.metrics[0].kind: is missing")));
  EXPECT_THAT(problems_with({"eval.metrics=[recall]"}), SizeIs(1));
  EXPECT_THAT(problems_with({"eval.metrics=recall"}),
              ElementsAre(HasSubstr("eval.metrics: expected a list, got 'recall'")));
}

TEST(Experiment, ReportsProblemsOfAllSectionsInTheOrderOfTheFile) {
  auto root = parse_yaml(
      "name: a\nmodel: {plugin: transformer, kind: gpt2, config: {n_layer: 2}}\n"
      "data: {train: {kind: text, fils: [a]}}\n"
      "train: {max_step: 5, global_batch: {samples: 1}, microbatch_size: 0}\n"
      "optimizer: {kind: adam2, learning_rate: -1}\n",
      "a.yaml");
  try {
    resolve_experiment(root, test_registry());
    FAIL() << "did not throw";
  } catch (const ConfigError& error) {
    ASSERT_THAT(error.problems, SizeIs(7)) << error.what();
    const auto message = [&](size_t i) { return error.problems[i].message; };
    EXPECT_THAT(message(0), HasSubstr("a.yaml:2: model.config.n_layer: unknown key; Triga calls it "
                                      "model.config.num_layers."));
    EXPECT_THAT(message(1), HasSubstr("a.yaml:3: data.train.fils: unknown key; did you mean files? "
                                      "Allowed here: kind, plugin, files"));
    EXPECT_THAT(message(2), HasSubstr("a.yaml:3: data.train.files: is missing"));
    EXPECT_THAT(message(3),
                HasSubstr("a.yaml:4: train.max_step: unknown key; did you mean max_steps?"));
    EXPECT_THAT(
        message(4),
        HasSubstr(
            "a.yaml:4: train.microbatch_size: 0 is out of range; allowed: at least 1 sample"));
    EXPECT_THAT(message(5), HasSubstr("a.yaml:5: optimizer.learning_rate: -1 is out of range"));
    EXPECT_THAT(message(6),
                HasSubstr("a.yaml:5: optimizer.kind: Triga itself has no such optimizer"));
  }
}

TEST(Experiment, AnswersMisplacedKeysOfKinds) {
  EXPECT_THAT(
      problems_with({"train.warmup_steps=5"}),
      ElementsAre(HasSubstr(
          "train.warmup_steps: unknown key; it belongs to learning_rate_schedule.warmup_steps.")));
  EXPECT_THAT(
      problems_with({"optimizer.max_grad_norm=5"}),
      ElementsAre(HasSubstr(
          "optimizer.max_grad_norm: unknown key; Triga calls it train.clip_norm. Allowed here: ")));
  EXPECT_THAT(problems_with({"optimizer.lerning_rate=5"}),
              ElementsAre(HasSubstr("did you mean learning_rate?")));
  EXPECT_THAT(problems_with({"optimizer.weight_deca=5"}),
              ElementsAre(HasSubstr("did you mean weight_decay?")));
}

TEST(Experiment, TestsItsRules) {
  EXPECT_THAT(problems_with({"train.max_epochs=5"}),
              ElementsAre(HasSubstr(
                  "train: expected exactly one of max_steps, max_epochs and max_minutes")));
  EXPECT_THAT(problems_with({"train.max_steps="}),
              ElementsAre(HasSubstr("expected exactly one of max_steps")));
  EXPECT_THAT(problems_with({"train.global_batch.tokens=5"}),
              ElementsAre(HasSubstr("exactly one of samples and tokens")));
  EXPECT_THAT(
      problems_with({"train.global_batch=32"}),
      ElementsAre(HasSubstr("expected a mapping with keys such as samples, tokens, got '32'")));
  EXPECT_THAT(problems_with({"name=a/b"}),
              ElementsAre(HasSubstr("cannot be the name of a folder")));
  EXPECT_THAT(problems_with({"eval={patience: 3, every_steps: 0}"}),
              ElementsAre(HasSubstr("eval.patience: early stopping needs")));
  EXPECT_THAT(problems_with({"data.validation="}),
              ElementsAre(HasSubstr("checkpoint.keep_best: needs data.validation")));
  EXPECT_THAT(problems_with({"checkpoint.keep_best.metric=loss"}),
              ElementsAre(HasSubstr("expected validation/loss")));
  EXPECT_THAT(problems_with({"optimizer.groups[0].match=("}),
              ElementsAre(HasSubstr("not a regular expression")));
  EXPECT_THAT(
      problems_with({"train={max_minutes: 1, global_batch: {samples: 1}, microbatch_size: 1}"}),
      ElementsAre(
          HasSubstr("learning_rate_schedule.decay_steps: is missing; with train.max_minutes")));
}

TEST(Experiment, RefusesWhatIsNotThereYet) {
  for (const std::string change :
       {"parallel.partition=[2, 1]", "parallel.zero=3", "parallel.recompute=all",
        "train.precision=fp16", "train.device=tpu", "parallel.pipeline_schedule=zb"})
    EXPECT_THAT(problems_with({change}), SizeIs(1)) << change;
  EXPECT_THAT(problems_with({"train.device=cpu", "train.deterministic=false"}), SizeIs(1));
  EXPECT_FALSE(resolve({"train.deterministic=false"}).experiment.train.deterministic);
}

TEST(Experiment, KeepsTheBestWhenThereIsValidation) {
  EXPECT_TRUE(resolve({"checkpoint.keep_best="}).experiment.checkpoint.keep_best.has_value());
  EXPECT_FALSE(resolve({"checkpoint.keep_best=", "data.validation="})
                   .experiment.checkpoint.keep_best.has_value());
}

TEST(Partition, IsAWordOrCuts) {
  EXPECT_EQ(resolve().experiment.parallel.partition.word, "uniform");
  EXPECT_EQ(resolve({"parallel.partition=auto"}).experiment.parallel.partition.word, "auto");
  const auto cuts = resolve({"parallel.partition=[2, 5]"}).experiment.parallel.partition;
  EXPECT_EQ(cuts.word, "");
  EXPECT_THAT(cuts.list, testing::ElementsAre(2, 5));
  EXPECT_THAT(problems_with({"parallel.partition=even"}), SizeIs(1));
  EXPECT_THAT(problems_with({"parallel.partition=[a]"}), SizeIs(1));
}

TEST(Partition, IsRecordedOnceItIsMeasured) {
  auto node = resolve({"parallel.partition=auto"}).node;
  EXPECT_EQ(partition_cuts(node), std::nullopt);
  set_partition_cuts(node, {3, 7});
  EXPECT_THAT(*partition_cuts(node), testing::ElementsAre(3, 7));
}

TEST(DecaySteps, AreThoseOfTheFirstStart) {
  auto node = resolve().node;
  EXPECT_EQ(decay_steps(node), std::nullopt);
  set_default_decay_steps(node, 2000);
  EXPECT_EQ(decay_steps(node), 2000);
  set_default_decay_steps(node, 3000);
  EXPECT_EQ(decay_steps(node), 2000);
  auto constant = resolve({"learning_rate_schedule={kind: constant}"}).node;
  set_default_decay_steps(constant, 2000);
  EXPECT_EQ(decay_steps(constant), std::nullopt);
}

TEST(DecaySteps, AreMoreThanTheWarmUpOfAShortTry) {
  const auto node = resolve({"learning_rate_schedule={kind: cosine, warmup_steps: 100}"}).node;
  EXPECT_EQ(default_decay_steps(node, 4), 101);
  EXPECT_EQ(default_decay_steps(node, 2000), 2000);
  const auto constant = resolve({"learning_rate_schedule={kind: constant}"}).node;
  EXPECT_EQ(default_decay_steps(constant, 4), 4);
}

TEST(ResumeDifference, IsWhatChangesTheRun) {
  auto before = resolve().node;
  set_default_decay_steps(before, 2000);
  const auto paths = [&](const std::vector<std::string>& changes) {
    std::vector<std::string> found;
    for (const auto& difference : differences_for_resume(before, resolve(changes).node))
      found.push_back(difference.path);
    return found;
  };
  EXPECT_THAT(paths({}), SizeIs(0));
  EXPECT_THAT(paths({"parallel.dp=2", "launch.ranks_per_node=4", "log.every_steps=1"}), SizeIs(0));
  EXPECT_THAT(paths({"checkpoint.asynchronous=false", "checkpoint.every_minutes=5",
                     "log.format=json", "log.prometheus_port=9100"}),
              SizeIs(0));
  EXPECT_THAT(paths({"train.spikes={window: 16}"}), ElementsAre("train.spikes"));
  EXPECT_THAT(paths({"train.max_steps=3000"}), SizeIs(0));
  EXPECT_THAT(paths({"train.max_steps=1000"}), ElementsAre("train.max_steps"));
  EXPECT_THAT(paths({"train.max_steps=", "train.max_epochs=9"}),
              ElementsAre("train.max_steps", "train.max_epochs"));
  EXPECT_THAT(paths({"learning_rate_schedule.decay_steps=2000"}), SizeIs(0));
  EXPECT_THAT(paths({"learning_rate_schedule.decay_steps=3000"}),
              ElementsAre("learning_rate_schedule.decay_steps"));
  EXPECT_THAT(paths({"optimizer.betas=[0.9, 0.95]", "model.config.dropout=0"}),
              ElementsAre("model.config.dropout", "optimizer.betas"));
  const auto differences =
      differences_for_resume(before, resolve({"data.validation.pack=false"}).node);
  ASSERT_THAT(differences, SizeIs(1));
  EXPECT_EQ(differences[0].before, "true");
  EXPECT_EQ(differences[0].now, "false");
}

}  // namespace
}  // namespace triga
