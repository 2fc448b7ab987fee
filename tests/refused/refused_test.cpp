// Every wrong experiment of cases/ is refused in under a second with file, line, key and cure; and
// every place in the code that refuses something has a case here or a test elsewhere.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <ctime>
#include <iterator>

#include "launchers/check.h"
#include "tests/refused/case_file.h"
#include "tests/refused/error_sites.h"
#include "tests/refused/test_environment.h"

namespace triga {
namespace {

namespace fs = std::filesystem;
using ::testing::StartsWith;

/// Sites that no experiment file reaches: what they say, and the test that provokes them.
struct Elsewhere {
  const char* file;
  const char* says;      // part of the site's statement
  const char* test;      // file of the test
  const char* provokes;  // part of its text
};
constexpr Elsewhere kElsewhere[] = {
    {"plugins/rnn/forecast_sampler.cpp", "but the model was trained on",
     "tests/end_to_end/families_test.py", "but the model was trained on load,heat"},
    {"framework/trainer/resume.cpp", "but no resolved.yaml", "tests/end_to_end/resume_test.py",
     "but no resolved.yaml"},
    {"framework/config/resolve.cpp", "cannot be read when", "tests/unit/config/resolve_test.cpp",
     "cannot be read when"},
    {"framework/config/resolve.cpp", "is not UTF-8", "tests/end_to_end/command_test.py",
     "which is not UTF-8"},
    {"launchers/status.cpp", "no such folder", "tests/faults/troubled_test.py", "no such folder"},
    {"framework/config/config_file.cpp", "there is no folder", "tests/unit/config/load_test.cpp",
     "there is no folder"},
    {"framework/config/config_file.cpp", "suggestion(folder", "tests/unit/config/load_test.cpp",
     "no such file; did you mean"},
    {"framework/config/config_file.cpp", "is a folder", "tests/unit/config/load_test.cpp",
     "is a folder"},
    {"framework/config/config_file.cpp", "is not a regular file", "tests/unit/config/load_test.cpp",
     "is not a regular file"},
    {"framework/config/config_file.cpp", "cannot be read", "tests/unit/config/load_test.cpp",
     "cannot be read: Too many open files"},
    {"framework/config/text_check.cpp", "has more than", "tests/unit/config/load_test.cpp",
     "more than 1048576 bytes"},
    {"framework/comm/process_grid.cpp", "stages cannot share",
     "tests/unit/comm/process_grid_test.cpp", "stages cannot share 5 ranks evenly"},
    {"framework/parallel/model_stages.cpp", "cannot be",
     "tests/unit/parallel/pipeline_strategy_test.cpp", "cannot be 64 pipeline stages"},
    {"framework/parallel/pipeline/schedule.cpp", "no pipeline schedule",
     "tests/unit/parallel/schedule_test.cpp", "no pipeline schedule 'zb'"},
    {"framework/parallel/pipeline/schedule.cpp", "a rank, not",
     "tests/unit/parallel/schedule_test.cpp", "takes 1 stage a rank, not 3"},
    {"framework/parallel/pipeline/schedule.cpp", "ranks; parallel.pp is",
     "tests/unit/parallel/schedule_test.cpp", "is a schedule of 2 ranks; parallel.pp is 3"},
    {"framework/parallel/pipeline/schedule.cpp", "microbatches; a step has",
     "tests/unit/parallel/schedule_test.cpp", "plans 2 microbatches; a step has 3 on a rank"},
    {"framework/parallel/pipeline/schedule_text.cpp", "no rank has stage",
     "tests/unit/parallel/schedule_test.cpp", "no rank has stage 1"},
    {"framework/parallel/pipeline/schedule_text.cpp", "join(problems)",
     "tests/unit/parallel/schedule_test.cpp", "is no action"},
    {"framework/parallel/planning/cost_file.cpp", "join(problems_",
     "tests/unit/parallel/cost_file_test.cpp", "is no number of at least 0"},
    {"framework/data/bpe.cpp", "has no token for byte", "tests/unit/data/byte_bpe_test.cpp",
     "no token for byte 0x51"},
    {"framework/data/bpe.cpp", "which is no token of", "tests/unit/data/byte_bpe_test.cpp",
     "which is no token of the vocabulary"},
    {"framework/data/byte_bpe_kind.cpp", "rule(\"vocab_size\"", "tests/unit/data/byte_bpe_test.cpp",
     "give one of them"},
    {"framework/data/tokenizer_files.cpp", "error.what()", "tests/unit/data/byte_bpe_test.cpp",
     "SaysWhichIsAFileThatCannotBeRead"},
    {"framework/data/byte_bpe_kind.cpp", "a folder without tokenizer.json",
     "tests/unit/data/byte_bpe_test.cpp", "a folder without tokenizer.json"},
    {"framework/data/tokenizer_files.cpp", "is not read here", "tests/unit/data/byte_bpe_test.cpp",
     "is not read here"},
    {"framework/data/tokenizer_json.cpp", "place + ", "tests/unit/data/byte_bpe_test.cpp",
     "RefusesFilesOfAnotherSort"},
    {"framework/data/byte_bpe_tokenizer.cpp", "the vocabulary does not have",
     "tests/unit/data/byte_bpe_test.cpp", "which the vocabulary does not have"},
    {"framework/data/added_tokens.cpp", "is no added token", "tests/unit/data/byte_bpe_test.cpp",
     "is no added token of the tokenizer"},
    {"framework/data/word_pieces.cpp", "the vocabulary has no",
     "tests/unit/data/wordpiece_test.cpp", "the vocabulary has no '<unk>'"},
    {"framework/data/wordpiece_kind.cpp", "rule(\"vocab_size\"",
     "tests/unit/data/wordpiece_test.cpp", "give one of them"},
    {"framework/data/wordpiece_kind.cpp", "a folder without tokenizer.json",
     "tests/unit/data/wordpiece_test.cpp", "a folder without tokenizer.json"},
    {"framework/data/image_kinds.cpp", "rule(\"channels\"", "tests/unit/data/image_test.cpp",
     "an image has 1 or 3 channels"},
    {"framework/data/labelled_text.cpp", "rule(\"label_column\"",
     "tests/unit/data/labelled_text_test.cpp", "is the text's column as well"},
    {"framework/data/series_reading.cpp", "error.what()", "tests/unit/data/series_test.cpp",
     "'columns' not found"},
    {"framework/data/series_reading.cpp", "columns with", "tests/unit/data/series_test.cpp",
     "1 columns with 2 means and 1 deviations"},
    {"plugins/rnn/forecast_sampler.cpp", "which says how the series was read",
     "tests/end_to_end/families_test.py", "which says how the series was read in training"},
    {"framework/data/series_kind.cpp", "rule(\"to\"", "tests/unit/data/series_test.cpp",
     "there would be no row"},
    {"framework/data/catalogue.cpp", "rule(\"as\"", "tests/unit/data/catalogue_test.cpp",
     "is not a path inside"},
    {"framework/data/catalogue.cpp", "rule(\"sha256\"", "tests/unit/data/catalogue_test.cpp",
     "64 hexadecimal digits"},
    {"framework/data/catalogue.cpp", "rule(\"base_url\"", "tests/unit/data/catalogue_test.cpp",
     "begins with https://"},
    {"framework/data/token_dataset.cpp", "no sequence length",
     "tests/unit/data/token_dataset_test.cpp", "no sequence length"},
    {"framework/trainer/lease.cpp", "another run writes to this directory",
     "tests/unit/trainer/lease_test.cpp", "another run writes to this directory"},
    {"framework/trainer/resume.cpp", "these keys differ", "tests/end_to_end/resume_test.py",
     "test_another_experiment_is_refused_with_the_difference_and_the_cures"},
    {"framework/trainer/resume.cpp", "cannot start there", "tests/end_to_end/resume_test.py",
     "cannot start there"},
    {"framework/trainer/start_checks.cpp", "ConfigError(misfit)",
     "tests/end_to_end/start_checks_test.py", "is not the same on all ranks"},
    {"framework/trainer/start_checks.cpp", "ConfigError(another_experiment",
     "tests/end_to_end/start_checks_test.py", "has another experiment"},
    {"framework/trainer/start_checks.cpp", "not every host sees", "tests/hosts/hosts_test.py",
     "not every host sees"},
    {"launchers/world.cpp", "ConfigError(problem)", "tests/end_to_end/start_checks_test.py",
     "each would train alone"},
    {"framework/trainer/training_run.cpp", "ConfigError(message)",
     "tests/end_to_end/resume_test.py", "on_both_ranks"},
    {"launchers/checkpoint.cpp", "exists already", "tests/end_to_end/command_test.py",
     "exists already; name a new folder"},
    {"launchers/chosen_device.cpp", "cuda: ", "tests/end_to_end/command_test.py",
     "test_a_device_that_is_not_there_is_refused"},
    {"launchers/data_tokenize.cpp", "no data.tokenizer", "tests/end_to_end/data_test.py",
     "test_it_says_what_it_cannot_do"},
    {"launchers/evaluate.cpp", "the experiment has no data.", "tests/end_to_end/command_test.py",
     "the experiment has no data.test"},
    {"launchers/inputs_file.cpp", "expected KEY=VALUE", "tests/end_to_end/command_test.py",
     "--input prompt: expected KEY=VALUE"},
    {"launchers/generate.cpp", "does not generate anything", "tests/end_to_end/command_test.py",
     "does not generate anything"},
    {"launchers/inputs_file.cpp", "is no JSON object", "tests/unit/launchers/inputs_file_test.cpp",
     "is no JSON object"},
    {"launchers/inputs_file.cpp", "lists and objects", "tests/unit/launchers/inputs_file_test.cpp",
     "more than 64 lists"},
    {"launchers/train.cpp", "is not a number of seconds", "tests/end_to_end/command_test.py",
     "is not a number of seconds"},
    {"launchers/launch.cpp", "mpirun is not in PATH", "tests/end_to_end/command_test.py",
     "mpirun is not in PATH"},
    {"launchers/launch.cpp", "ConfigError(problem)", "tests/end_to_end/command_test.py",
     "runs inside a rank of Open MPI"},
    {"launchers/places.cpp", "ranks; at least 1", "tests/end_to_end/command_test.py",
     "-n: 0 ranks; at least 1"},
    {"launchers/places.cpp", "at least one rank a host", "tests/unit/launchers/places_test.cpp",
     "-N: 3 hosts for -n 2"},
    {"launchers/places.cpp", "are named", "tests/unit/launchers/places_test.cpp",
     "-N: 3 hosts, but only 2 are named"},
    {"launchers/places.cpp", "hosts have places for", "tests/unit/launchers/places_test.cpp",
     "-n: 4 ranks, but the 2 hosts have places for 3"},
    {"launchers/places.cpp", "have places on the first", "tests/unit/launchers/places_test.cpp",
     "-N: 2 hosts, but -n 2 have places on the first 1 of them"},
    {"launchers/host_list.cpp", "is not a host", "tests/unit/launchers/host_list_test.cpp",
     "is not a host"},
    {"launchers/host_list.cpp", "is named twice", "tests/unit/launchers/host_list_test.cpp",
     "--hosts: host a is named twice"},
    {"launchers/host_list.cpp", "a number of ranks is said",
     "tests/unit/launchers/host_list_test.cpp", "said for some hosts and not for b"},
    {"launchers/host_list.cpp", "a line is HOST", "tests/unit/launchers/host_list_test.cpp",
     "a line is HOST, HOST slots=N or HOST:N"},
    {"launchers/host_list.cpp", "names no host", "tests/unit/launchers/host_list_test.cpp",
     "names no host"},
    {"launchers/host_list.cpp", "--hostfile: {}", "tests/unit/launchers/host_list_test.cpp",
     "--hostfile: "},
    {"launchers/places.cpp", "but this is", "tests/unit/launchers/places_test.cpp",
     "-N: 3 hosts, but this is job 12 of Slurm"},
    {"launchers/places.cpp", "is not known which", "tests/unit/launchers/places_test.cpp",
     "launch.nodes: 2 hosts, and it is not known which"},
    {"launchers/submit.cpp", "ConfigError(problem)", "tests/end_to_end/start_checks_test.py",
     "the launcher of another MPI"},
    {"launchers/submit.cpp", "runs inside a rank", "tests/end_to_end/submit_test.py",
     "triga submit runs inside a rank"},
    {"launchers/submit.cpp", "sbatch is not in PATH", "tests/end_to_end/submit_test.py",
     "sbatch is not in PATH"},
    {"launchers/submit.cpp", "sbatch refused the job", "tests/end_to_end/submit_test.py",
     "sbatch refused the job"},
    {"launchers/train.cpp", "placement.problem", "tests/end_to_end/submit_test.py", "without PMIx"},
    {"framework/config/config_file.cpp", "unknown key; ", "tests/unit/config/load_test.cpp",
     "site.yaml:1: partition: unknown key; a site file has one key"},
    {"framework/config/config_file.cpp", "config_error(entry.value, kAllowed)",
     "tests/unit/config/load_test.cpp", "site.yaml:1: launch: a site file has one key"},
    {"launchers/list.cpp", "has no kind", "tests/end_to_end/command_test.py", "has no kind 'gpt9'"},
    {"launchers/plugin_check.cpp", "no sampler of", "tests/end_to_end/plugin_test.py",
     "no sampler of the experiments' models"},
    {"launchers/plugin_check.cpp", "opens {}, not {}", "tests/end_to_end/plugin_test.py",
     "opens {PLUGINS / 'rnn.so'}, not {copy}"},
    {"launchers/plugin_new.cpp", "cannot be the name of a plugin",
     "tests/install/plugin_kit_test.py", "cannot be the name of a plugin"},
    {"launchers/plugin_new.cpp", "'core' means", "tests/install/plugin_kit_test.py",
     "'core' means Triga itself"},
    {"launchers/plugin_new.cpp", "there is a plugin", "tests/install/plugin_kit_test.py",
     "there is a plugin 'rnn' already"},
    {"launchers/plugin_new.cpp", "no whole install", "tests/install/plugin_kit_test.py",
     "this is no whole install"},
    {"launchers/plugin_new.cpp", "there is no such folder", "tests/install/plugin_kit_test.py",
     "--in nowhere: there is no such folder"},
    {"launchers/plugin_new.cpp", "nothing was written", "tests/install/plugin_kit_test.py",
     "mine is there already; nothing was written"},
    {"launchers/plugin_new.cpp", "error.what()", "tests/install/plugin_kit_test.py",
     "--in /proc: cannot make"},
    {"launchers/scaffold/bigram.cpp", "needs a tokenizer", "tests/end_to_end/plugin_test.py",
     "kind bigram needs a tokenizer"},
    {"framework/trainer/model_check.cpp", "is the name of another number",
     "tests/install/outside_test.py", "is the name of another number of an evaluation"},
    {"launchers/unknown_command.cpp", "no command '", "tests/unit/launchers/command_line_test.cpp",
     "no command 'chek'"},
    {"plugins/diffusion/ddpm_files.cpp", "differs from the one in the directory",
     "tests/parity/ddpm.py", "[8,16] here, [8,32] there"},
    {"plugins/diffusion/image_sampler.cpp", "timesteps, so at most",
     "tests/end_to_end/diffusion_test.py", "so at most that many"},
    {"plugins/common/text_sampler.cpp", "without a tokenizer", "tests/plugins/common_test.cpp",
     "without a tokenizer"},
    {"plugins/common/text_sampler.cpp", "prompt is empty", "tests/plugins/common_test.cpp",
     "prompt is empty"},
    {"plugins/common/text_sampler.cpp", "the model reads at most", "tests/plugins/common_test.cpp",
     "the model reads at most 4"},
    {"plugins/transformer/bert_samplers.cpp", "without a tokenizer", "tests/plugins/bert_test.cpp",
     "without a tokenizer"},
    {"plugins/transformer/bert_samplers.cpp", "nothing in it is to be guessed",
     "tests/plugins/bert_test.cpp", "text has no [MASK]"},
    {"plugins/transformer/bert_samplers.cpp", "with [CLS] and [SEP]; the model",
     "tests/plugins/bert_test.cpp", "13 tokens with [CLS] and [SEP]"},
    {"plugins/transformer/bert_samplers.cpp", "text is empty", "tests/plugins/bert_test.cpp",
     "text is empty"},
};

struct Refusal {
  std::vector<ConfigError::Problem> problems;
  double seconds = 0;  // of computing: a machine that does other things as well takes longer
};

Refusal refuse(const CaseFile& file) {
  ExperimentArguments arguments;
  arguments.file = file.path.string();
  arguments.overrides = file.overrides;
  const CommandEnvironment environment = test_environment();
  const std::clock_t start = std::clock();
  Refusal refusal;
  try {
    const LoadedExperiment loaded(environment, arguments, LoadedExperiment::Purpose::kLook);
    check_experiment(environment, loaded, file.num_ranks);
  } catch (const ConfigError& error) {
    refusal.problems = error.problems;
  }
  refusal.seconds = static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC;
  return refusal;
}

class Refused : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    cases_ = read_cases(kSources / "tests" / "refused" / "cases");
    refuse(cases_.front());  // the first load of a plugin is tried in a child process, once
  }
  static std::vector<CaseFile> cases_;
};
std::vector<CaseFile> Refused::cases_;

TEST_F(Refused, EveryCaseSaysWhereWhatAndWhatToDo) {
  for (const CaseFile& file : cases_) {
    SCOPED_TRACE(file.path.filename());
    const Refusal refusal = refuse(file);
    ASSERT_FALSE(file.expected.empty()) << "the case expects nothing";
    EXPECT_EQ(refusal.problems.size(), file.expected.size());
    for (size_t i = 0; i < std::min(refusal.problems.size(), file.expected.size()); ++i)
      EXPECT_THAT(refusal.problems[i].message, StartsWith(file.expected[i]));
    EXPECT_LT(refusal.seconds, 1.0);
  }
}

TEST_F(Refused, EveryErrorSiteHasACaseOrATestElsewhere) {
  std::vector<SourcePlace> reached;
  for (const CaseFile& file : cases_)
    for (const ConfigError::Problem& problem : refuse(file).problems)
      reached.push_back(problem.place);
  const std::vector<ErrorSite> sites = find_error_sites(kSources);
  EXPECT_GT(sites.size(), 80u) << "the scan of the sources finds too little";
  for (const ErrorSite& site : sites) {
    const bool has_case =
        std::any_of(reached.begin(), reached.end(),
                    [&](const SourcePlace& place) { return site.contains(place); });
    const bool has_test =
        std::any_of(std::begin(kElsewhere), std::end(kElsewhere), [&](const Elsewhere& other) {
          return site.file == other.file && site.text.find(other.says) != std::string::npos;
        });
    EXPECT_TRUE(has_case || has_test)
        << site.file << ":" << site.first_line << " has no case in tests/refused:\n"
        << site.text;
  }
}

TEST_F(Refused, TestsElsewhereAreThere) {
  for (const Elsewhere& other : kElsewhere)
    EXPECT_NE(text_of(kSources / other.test).find(other.provokes), std::string::npos)
        << other.test << " does not provoke: " << other.provokes;
}

}  // namespace
}  // namespace triga
