// Keys as users of other tools write them: never accepted, always answered with ours.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "config/experiment_schema.h"
#include "config/vocabulary.h"
#include "config/yaml.h"
#include "launchers/loaded_experiment.h"
#include "tests/refused/test_environment.h"

namespace triga {
namespace {

using ::testing::HasSubstr;

/// A key of another tool, and what Triga calls it or says instead.
struct Foreign {
  const char* key;
  const char* answer;
};
constexpr Foreign kForeign[] = {
    // torchrun, Accelerate
    {"nproc_per_node", "launch.ranks_per_node"},
    {"nnodes", "launch.nodes"},
    {"rdzv_endpoint", "ranks come from `triga launch`"},
    {"mixed_precision", "train.precision"},
    {"gradient_accumulation_steps", "accumulation follows from train.global_batch"},
    // Lightning
    {"gradient_clip_val", "train.clip_norm"},
    {"accumulate_grad_batches", "accumulation follows from train.global_batch"},
    {"val_check_interval", "eval.every_steps"},
    {"log_every_n_steps", "log.every_steps"},
    {"default_root_dir", "--run-dir"},
    {"accelerator", "train.device"},
    {"devices", "launch.ranks_per_node"},
    {"num_nodes", "launch.nodes"},
    {"save_top_k", "checkpoint.keep_best.count"},
    {"seed_everything", "train.seed"},
    // Hugging Face Trainer and configurations
    {"n_layer", "model.config.num_layers"},
    {"num_hidden_layers", "model.config.num_layers"},
    {"n_head", "model.config.num_heads"},
    {"n_embd", "model.config.hidden_size"},
    {"n_positions", "model.config.context_length"},
    {"max_position_embeddings", "model.config.context_length"},
    {"resid_pdrop", "model.config.residual_dropout"},
    {"attn_pdrop", "model.config.attention_dropout"},
    {"layer_norm_eps", "model.config.layer_norm_epsilon"},
    {"lr_scheduler_type", "learning_rate_schedule"},
    {"num_train_epochs", "train.max_epochs"},
    {"per_device_train_batch_size", "train.microbatch_size"},
    {"max_grad_norm", "train.clip_norm"},
    {"num_warmup_steps", "learning_rate_schedule.warmup_steps"},
    {"save_total_limit", "checkpoint.keep_last"},
    {"save_steps", "checkpoint.every_steps"},
    {"eval_steps", "eval.every_steps"},
    {"logging_steps", "log.every_steps"},
    {"metric_for_best_model", "checkpoint.keep_best.metric"},
    {"early_stopping_patience", "eval.patience"},
    {"adam_epsilon", "optimizer.eps"},
    {"output_dir", "--run-dir"},
    {"resume_from_checkpoint", "--resume auto|PATH"},
    {"gradient_checkpointing", "parallel.recompute"},
    {"report_to", "metrics always go to metrics.jsonl"},
    {"dataloader_num_workers", "data.prefetch"},
    {"ddp_bucket_cap_mb", "parallel.bucket_bytes"},
    {"ddp_timeout", "parallel.communication_timeout"},
    {"num_threads", "parallel.threads"},
    {"metrics", "log.prometheus_port"},
    {"hang_timeout", "parallel.communication_timeout"},
    {"model_name_or_path", "model.init"},
    {"train_file", "data.train"},
    // Hydra
    {"defaults", "files do not inherit from each other"},
    {"_target_", "kind"},
    // Marian
    {"mini_batch_words", "train.global_batch.tokens"},
    {"after_batches", "train.max_steps"},
    {"after_epochs", "train.max_epochs"},
    {"optimizer_delay", "accumulation follows from train.global_batch"},
    {"valid_freq", "eval.every_steps"},
    {"disp_freq", "log.every_steps"},
    {"save_freq", "checkpoint.every_steps"},
    {"learn_rate", "optimizer.learning_rate"},
    {"dim_emb", "model.config.hidden_size"},
    {"dec_depth", "model.config.num_layers"},
    {"transformer_heads", "model.config.num_heads"},
    // Megatron-LM, DeepSpeed, FSDP, nanoGPT, torchtitan
    {"train_iters", "train.max_steps"},
    {"micro_batch_size", "train.microbatch_size"},
    {"global_batch_size", "train.global_batch.samples"},
    {"pipeline_model_parallel_size", "parallel.pp"},
    {"tensor_model_parallel_size", "no tensor parallelism"},
    {"zero_optimization", "parallel.zero"},
    {"data_parallel_degree", "parallel.dp"},
    {"block_size", "model.config.context_length"},
    {"lr", "optimizer.learning_rate"},
    {"max_iters", "train.max_steps"},
    {"grad_clip", "train.clip_norm"},
    {"min_lr", "learning_rate_schedule.final_factor"},
    {"lr_decay_iters", "learning_rate_schedule.decay_steps"},
    {"beta1", "optimizer.betas"},
    {"compile", "nothing is compiled"},
};

class Hints : public testing::Test {
 protected:
  Hints() : kinds_(test_environment()) { kinds_.host().open("transformer"); }

  /// What resolving says to a key at the top of an experiment; "" when it is accepted.
  std::string answer_to(const std::string& key) {
    ConfigNode root = parse_yaml(
        "name: tiny\nmodel: {plugin: transformer, kind: gpt2}\n"
        "data: {train: {kind: text, files: [a.txt]}}\n"
        "train: {max_steps: 5, global_batch: {samples: 4}, microbatch_size: 2}\n"
        "optimizer: {learning_rate: 1.0e-3}\nlearning_rate_schedule: {kind: cosine}\n" +
            key + ": 1\n",
        "a.yaml");
    try {
      resolve_experiment(root, kinds_.registry());
    } catch (const ConfigError& error) {
      return error.what();
    }
    return "";
  }

  OpenRegistry kinds_;
};

TEST_F(Hints, AnswerWhatUsersOfOtherToolsWrite) {
  int num_answered = 0;
  for (const auto& [key, answer] : kForeign) {
    EXPECT_THAT(answer_to(key), HasSubstr(std::string("a.yaml:7: ") + key + ": unknown key; "))
        << key;
    EXPECT_THAT(answer_to(key), HasSubstr(answer)) << key;
    ++num_answered;
  }
  EXPECT_GE(num_answered, 40);
}

TEST_F(Hints, EveryNameOfADescriptionIsAnsweredAndNoneAccepted) {
  const ConfigNode schema = experiment_schema(kinds_.registry());
  std::set<std::string> known;
  for (const ConfigEntry& entry : schema.find("properties")->entries) known.insert(entry.key);
  std::multimap<std::string, std::string> answers;
  for (const Hint& hint : foreign_names(schema, ""))
    if (!known.contains(hint.word)) answers.emplace(hint.word, hint.answer);
  EXPECT_GT(answers.size(), 150u);
  for (auto it = answers.begin(); it != answers.end(); it = answers.upper_bound(it->first)) {
    const std::string said = answer_to(it->first);
    bool is_answered = false;
    for (auto [one, end] = answers.equal_range(it->first); one != end; ++one)
      is_answered |= said.find(one->second) != std::string::npos;
    EXPECT_TRUE(is_answered) << it->first << ": " << said;
  }
}

TEST(Reference, PageIsTheOneOfTheDescriptions) {
  OpenRegistry kinds(test_environment());
  for (const PluginSearchPath::Found& found : kinds.host().search_path().all())
    kinds.host().open(found.path.string());
  EXPECT_EQ(experiment_reference(kinds.registry()), text_of(kSources / "docs" / "experiment.md"))
      << "write it anew: triga describe --markdown > docs/experiment.md";
}

}  // namespace
}  // namespace triga
