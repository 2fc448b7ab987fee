#include "trainer/start_facts.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

namespace triga {
namespace {

using Json = nlohmann::json;

constexpr size_t kMostNamed = 8;  // hosts, keys: more are counted
constexpr const char* kVersionFact = "Triga";

/// "a, b, c", or the first of many and how many more.
std::string first_of(const std::vector<std::string>& words, const char* between) {
  std::vector<std::string> named(words.begin(), words.begin() + std::min(words.size(), kMostNamed));
  if (words.size() > kMostNamed)
    named.push_back(fmt::format("and {} more", words.size() - kMostNamed));
  return fmt::format("{}", fmt::join(named, between));
}

/// Value -> who has it.
using Camps = std::map<std::string, std::vector<int>>;

/// A line a value, that of rank 0 first.
std::string lines_of(const std::vector<RankFacts>& ranks, const Camps& camps) {
  std::vector<const Camps::value_type*> sorted;
  for (const auto& camp : camps) sorted.push_back(&camp);
  std::stable_sort(sorted.begin(), sorted.end(), [](const auto* a, const auto* b) {
    return a->second.front() < b->second.front();
  });
  std::vector<std::string> lines;
  for (const auto* camp : sorted)
    lines.push_back(fmt::format("\n  {}: {}", camp->first, ranks_in_words(ranks, camp->second)));
  return first_of(lines, "");
}

template <class ValueOf>
Camps camps_by(const std::vector<RankFacts>& ranks, ValueOf value_of) {
  Camps camps;
  for (size_t rank = 0; rank < ranks.size(); ++rank)
    camps[value_of(ranks[rank])].push_back(static_cast<int>(rank));
  return camps;
}

std::string value_of(const RankFacts& facts, const std::string& name) {
  const auto found = facts.same.find(name);
  return found == facts.same.end() ? "none" : found->second;
}

/// What ranks say, but for the experiment. Triga's version is the first: another one may say other
/// things.
std::vector<std::string> names_to_compare(const std::vector<RankFacts>& ranks) {
  std::set<std::string> others;
  for (const RankFacts& facts : ranks)
    for (const auto& [name, value] : facts.same)
      if (name != kExperimentFact && name != kVersionFact) others.insert(name);
  std::vector<std::string> names = {kVersionFact};
  names.insert(names.end(), others.begin(), others.end());
  return names;
}

std::string find_disagreement(const std::vector<RankFacts>& ranks) {
  for (const std::string& name : names_to_compare(ranks)) {
    const Camps camps = camps_by(ranks, [&](const auto& facts) { return value_of(facts, name); });
    if (camps.size() > 1)
      return fmt::format(
          "{} is not the same on all ranks:{}\n  All hosts must see the same files: one install on "
          "a file system that they share, and one TRIGA_PLUGIN_PATH",
          name, lines_of(ranks, camps));
  }
  return "";
}

std::string find_mixed_devices(const std::vector<RankFacts>& ranks) {
  const Camps camps = camps_by(ranks, [](const auto& facts) { return facts.device; });
  if (camps.size() < 2) return "";
  return fmt::format(
      "some ranks compute on a GPU and others do not:{}\n  With train.device: cuda each rank says "
      "what is missing (or: triga doctor, on that host); with cpu all compute on the CPU",
      lines_of(ranks, camps));
}

/// GPU -> ranks, of those that several have.
Camps crowded_gpus(const std::vector<RankFacts>& ranks) {
  Camps camps = camps_by(ranks, [](const auto& facts) { return facts.gpu; });
  std::erase_if(camps,
                [](const auto& camp) { return camp.first.empty() || camp.second.size() < 2; });
  return camps;
}

/// NCCL takes them for GPUs of different hosts.
bool are_told_apart(const std::vector<RankFacts>& ranks, const std::vector<int>& sharing) {
  std::set<std::string> hosts;
  for (const int rank : sharing) hosts.insert(ranks[static_cast<size_t>(rank)].nccl_host);
  return hosts.size() == sharing.size();
}

std::string find_shared_gpu(const std::vector<RankFacts>& ranks) {
  for (const auto& [gpu, sharing] : crowded_gpus(ranks))
    if (!are_told_apart(ranks, sharing))
      return fmt::format(
          "one GPU for several ranks, which NCCL refuses: {} is that of {}.\n  A rank takes the "
          "GPU of its local number: start as many ranks on a host as it has GPUs "
          "(launch.ranks_per_node), and let each see all of them (Slurm: --gpus-per-node, and no "
          "--gpu-bind; otherwise the same CUDA_VISIBLE_DEVICES)",
          gpu, ranks_in_words(ranks, sharing));
  return "";
}

/// "": it is not there, or is no text.
std::string text_in(const Json& object, const char* name) {
  const auto found = object.find(name);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

}  // namespace

std::string to_text(const RankFacts& facts) {
  return Json{{"host", facts.host},
              {"same", facts.same},
              {"device", facts.device},
              {"gpu", facts.gpu},
              {"nccl_host", facts.nccl_host}}
      .dump(-1, ' ', false, Json::error_handler_t::replace);
}

RankFacts rank_facts_from_text(const std::string& text) {
  Json json = Json::parse(text, nullptr, false);
  if (!json.is_object()) json = Json::object();
  RankFacts facts;
  facts.host = text_in(json, "host");
  if (facts.host.empty()) facts.host = "a host that it does not name";
  if (const auto same = json.find("same"); same != json.end() && same->is_object())
    for (const auto& [name, value] : same->items())
      facts.same[name] = value.is_string() ? value.get<std::string>() : value.dump();
  facts.device = text_in(json, "device");
  facts.gpu = text_in(json, "gpu");
  facts.nccl_host = text_in(json, "nccl_host");
  return facts;
}

std::string ranks_in_words(const std::vector<RankFacts>& ranks, const std::vector<int>& chosen) {
  std::vector<std::string> ranges, hosts;
  for (size_t i = 0; i < chosen.size();) {
    size_t end = i + 1;
    while (end < chosen.size() && chosen[end] == chosen[end - 1] + 1) ++end;
    ranges.push_back(end - i == 1 ? std::to_string(chosen[i])
                                  : fmt::format("{}-{}", chosen[i], chosen[end - 1]));
    i = end;
  }
  for (const int rank : chosen)
    if (const auto& host = ranks[static_cast<size_t>(rank)].host;
        std::find(hosts.begin(), hosts.end(), host) == hosts.end())
      hosts.push_back(host);
  return fmt::format("{} {} on {}", chosen.size() == 1 ? "rank" : "ranks", first_of(ranges, ", "),
                     first_of(hosts, ", "));
}

std::string find_misfit(const std::vector<RankFacts>& ranks) {
  for (const auto& find : {find_disagreement, find_mixed_devices, find_shared_gpu})
    if (std::string problem = find(ranks); !problem.empty()) return problem;
  return "";
}

std::vector<std::string> shared_gpus(const std::vector<RankFacts>& ranks) {
  std::vector<std::string> sentences;
  for (const auto& [gpu, sharing] : crowded_gpus(ranks))
    if (are_told_apart(ranks, sharing))
      sentences.push_back(fmt::format(
          "{} share {} (NCCL_HOSTID hides it from NCCL): each has a part of its speed and memory",
          ranks_in_words(ranks, sharing), gpu));
  return sentences;
}

int first_with_another_experiment(const std::vector<RankFacts>& ranks) {
  for (size_t rank = 1; rank < ranks.size(); ++rank)
    if (value_of(ranks[rank], kExperimentFact) != value_of(ranks[0], kExperimentFact))
      return static_cast<int>(rank);
  return 0;
}

std::string another_experiment(const std::vector<RankFacts>& ranks, int rank,
                               const std::vector<ConfigDifference>& differences) {
  const auto of = static_cast<size_t>(rank);
  std::vector<std::string> lines;
  for (const ConfigDifference& difference : differences)
    lines.push_back(fmt::format("\n  {}: {} on rank 0, {} on rank {}", difference.path,
                                difference.before, difference.now, rank));
  return fmt::format(
      "rank {} on {} has another experiment than rank 0 on {}:{}\n  All ranks must get the same "
      "command line, and all hosts must see the same files and variables (hashes {} and {})",
      rank, ranks[of].host, ranks[0].host, first_of(lines, ""), value_of(ranks[0], kExperimentFact),
      value_of(ranks[of], kExperimentFact));
}

}  // namespace triga
