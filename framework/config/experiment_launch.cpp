// What the keys of `launch` mean: what a job asks a scheduler for, and what ranks run in.
#include <c10/util/StringUtil.h>

#include <algorithm>
#include <cctype>
#include <regex>

#include "config/experiment_sections.h"

namespace triga {
namespace {

using Problem = std::optional<std::string>;

/// Longer ones are none: std::regex takes a frame of the stack a character.
bool matches(const std::string& text, const char* pattern) {
  constexpr size_t kLongest = 4096;
  return text.size() <= kLongest && std::regex_match(text, std::regex(pattern));
}

/// "$NAME", "${" or "$(" in it.
bool asks_a_shell(const std::string& text) {
  for (size_t i = 0; i + 1 < text.size(); ++i) {
    const auto next = static_cast<unsigned char>(text[i + 1]);
    if (text[i] == '$' && (std::isalpha(next) || next == '_' || next == '{' || next == '('))
      return true;
  }
  return false;
}

/// Each becomes a line of a script, or a word in one.
Problem has_line_break(const std::vector<std::string>& texts) {
  for (const std::string& text : texts)
    if (text.find_first_of("\r\n") != std::string::npos)
      return "an entry has several lines; write one entry a line";
  return std::nullopt;
}

Problem not_a_time(const std::string& text) {
  if (text.empty() || matches(text, R"(\d+(:\d+){0,2}|\d+-\d+(:\d+){0,2})")) return std::nullopt;
  return c10::str("'", text,
                  "' is no time of Slurm; allowed: minutes, such as 90, hours:minutes:seconds, "
                  "such as 12:00:00, or days-hours:minutes:seconds, such as 2-00:00:00");
}

Problem not_a_memory(const std::string& text) {
  if (text.empty() || matches(text, R"(\d+[KMGTkmgt]?)")) return std::nullopt;
  return c10::str("'", text, "' is no amount of memory; allowed: such as 64G, of each host");
}

Problem not_an_array(const std::string& text) {
  if (text.empty() || matches(text, R"(\d+(-\d+(:\d+)?)?(,\d+(-\d+(:\d+)?)?)*(%\d+)?)"))
    return std::nullopt;
  return c10::str("'", text.substr(0, 80),
                  "' are no numbers of tasks; allowed: such as 0-7, 1,3,5 or 0-99%4");
}

Problem not_variables(const std::map<std::string, std::string>& variables) {
  for (const auto& [name, value] : variables) {
    if (!matches(name, "[A-Za-z_][A-Za-z0-9_]*"))
      return c10::str("'", name, "' cannot be the name of an environment variable");
    if (auto problem = has_line_break({value})) return problem;
    if (asks_a_shell(value))
      return c10::str("'", value, "' of ", name,
                      ": no shell reads it, so that it stays as it is; for a job write in "
                      "launch.setup: export ",
                      name, "=", value);
  }
  return std::nullopt;
}

/// What a job asks a scheduler for.
void describe_request(Fields& fields, LaunchConfig& config) {
  fields.field("nodes", config.nodes)
      .help("Hosts.")
      .at_least(1)
      .at_most(65536)
      .known_as({"num_nodes", "nnodes", "num_machines"});
  fields.field("ranks_per_node", config.ranks_per_node)
      .help("Processes on each host; with GPUs one for each.")
      .at_least(1)
      .at_most(4096)
      .known_as(
          {"nproc_per_node", "devices", "gpus", "num_processes", "tasks_per_node", "num_gpus"});
  fields.field("gpus_per_node", config.gpus_per_node)
      .help("GPUs to ask for on each host.")
      .at_least(0)
      .known_as({"gres", "gpus_per_task"});
  fields.field("cpus_per_rank", config.cpus_per_rank)
      .help("Cores to ask for, for each rank.")
      .at_least(1)
      .known_as({"cpus_per_task"});
  fields.field("memory", config.memory)
      .help("Memory to ask for on each host, such as 64G.")
      .known_as({"mem", "mem_gb", "mem_per_node"});
  fields.field("time", config.time)
      .help("Time limit of a job as Slurm writes it: minutes, or days-hours:minutes:seconds.")
      .known_as({"walltime", "timeout_min"});
  fields.field("save_before_seconds", config.save_before_seconds)
      .help(
          "How long before the time limit ranks are asked to save and stop; the job then goes back "
          "into the queue. Slurm looks about once a minute. 0: they are not asked.")
      .unit("seconds")
      .at_least(0)
      .at_most(65535)
      .known_as({"signal_delay_s"});
  fields.field("max_restarts", config.max_restarts)
      .help(
          "How often `triga launch` starts the run again after it lost a rank or a host (status 6, "
          "or a crash), from the newest checkpoint, after a pause that doubles from 5 seconds to 5 "
          "minutes, and only if steps were gained since the last start. A job of `triga submit` "
          "goes back into the queue instead.")
      .at_least(0)
      .known_as({"max_restart", "restarts", "num_retries", "max_retries"});
  fields.field("partition", config.partition)
      .help("Partition (queue) of the job.")
      .known_as({"queue", "slurm_partition"});
  fields.field("account", config.account)
      .help("Account that pays for the job.")
      .known_as({"slurm_account", "project"});
  fields.field("array", config.array)
      .help(
          "Numbers of the tasks of a job array, such as 0-7%2: each is a run of its own, in "
          "runs/NAME/TASK; a value that differs names ${env:SLURM_ARRAY_TASK_ID}.")
      .known_as({"job_array", "array_parallelism"});
}

}  // namespace

void describe(Fields& fields, ContainerConfig& config) {
  fields.field("image", config.image)
      .help("File of the image.")
      .required()
      .known_as({"container_image", "sif"});
  fields.field("command", config.command)
      .help("Words before the image, such as [apptainer, exec, --nv, --bind, /data].")
      .known_as({"runtime"});
  fields.field("triga", config.triga)
      .help("Path of triga in the image; empty: where the command that starts it lies outside.");
  fields.rule("command", [&config]() -> Problem {
    if (config.command.empty()) return "is empty; expected such as [apptainer, exec]";
    return has_line_break(config.command);
  });
  fields.rule("triga", [&config]() -> Problem {
    if (config.triga.empty() || config.triga.starts_with('/')) return std::nullopt;
    return c10::str("'", config.triga, "' is not an absolute path");
  });
}

void describe(Fields& fields, LaunchConfig& config) {
  describe_request(fields, config);
  fields.field("modules", config.modules)
      .help("Loaded in the job's script before all else (module load).")
      .known_as({"module"});
  fields.field("setup", config.setup)
      .help("Lines of bash in the job's script, after the modules; $${NAME} for a variable.")
      .known_as({"setup_commands", "prologue", "pre_run", "local_setup"});
  fields.field("environment", config.environment)
      .help(
          "Environment variables of all ranks, such as NCCL_SOCKET_IFNAME; values are taken as "
          "they "
          "are, without a shell.")
      .known_as({"env", "env_vars", "envs"});
  fields.field("container", config.container)
      .help("Run ranks in a container.")
      .known_as({"singularity", "apptainer", "docker"});
  fields.field("sbatch", config.sbatch)
      .help("Further arguments of sbatch, each a line of the script, passed unchanged.")
      .known_as({"sbatch_args", "additional_parameters", "qos", "constraint"});
  fields.field("srun", config.srun)
      .help("Further arguments of srun, passed unchanged.")
      .known_as({"srun_args"});
  fields.field("mpirun", config.mpirun)
      .help("Further arguments of mpirun for `triga launch`, passed unchanged.")
      .known_as({"mpirun_args", "mpi_args"});

  fields.rule("memory", [&config] { return not_a_memory(config.memory); });
  fields.rule("time", [&config] { return not_a_time(config.time); });
  fields.rule("array", [&config] { return not_an_array(config.array); });
  fields.rule("environment", [&config] { return not_variables(config.environment); });
  for (const auto& [name, texts] : {std::pair{"modules", &config.modules},
                                    {"setup", &config.setup},
                                    {"sbatch", &config.sbatch},
                                    {"srun", &config.srun},
                                    {"mpirun", &config.mpirun}})
    fields.rule(name, [texts = texts] { return has_line_break(*texts); });
  for (const auto& [name, text] :
       {std::pair{"partition", &config.partition}, {"account", &config.account}})
    fields.rule(name, [text = text] { return has_line_break({*text}); });
}

}  // namespace triga
