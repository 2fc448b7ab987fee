#include "launchers/slurm_script.h"

#include <fmt/format.h>

#include "launchers/programs.h"

namespace triga {
namespace {

namespace fs = std::filesystem;

/// Before everything else: a job may be told to stop while its modules are loaded.
constexpr const char* kSignals = R"bash(ask_to_save() {
  asked=$1
  echo "triga: the job got SIG$1; the ranks are asked to save and stop"
  if [[ -n $step ]]; then kill -USR1 "$step" 2>/dev/null; fi
}
asked='' step=''
for signal in INT TERM USR1 USR2; do trap "ask_to_save $signal" "$signal"; done

)bash";

/// Behind the part that differs from job to job: run_dir, rank and first are set there.
constexpr const char* kRun = R"bash(
# From here on the same in every job of Triga, also where a line above was to end the shell at errors.
set +eu +o pipefail

# A number of status.json; nothing where it holds none.
field() { sed -n "s/^ *\"$1\": *\([0-9]\{1,\}\).*/\1/p" "$run_dir/status.json" 2>/dev/null; }

# How far the run has come: the step of its last status, and of its newest checkpoint. A start that fails between two
# checkpoints, and one that saves before it comes as far as the last one, have each gained in one of the two.
reached() {
  local of_status of_checkpoint
  of_status=$(field step)
  of_checkpoint=$(readlink "$run_dir/checkpoints/latest")
  of_checkpoint=${of_checkpoint##*-}
  echo $((10#${of_status:-0})) $((10#${of_checkpoint:-0}))
}

# The first start does what it was told, and so does one after it, as long as no run has begun; the others go on with that run.
status_written() { stat -c %y "$run_dir/status.json" 2>/dev/null; }
stamp=$(status_written)
at_first=$run_dir.first-$SLURM_JOB_ID
start=("${first[@]}")
if ((${SLURM_RESTART_COUNT:-0} == 0)); then
  mkdir -p "${run_dir%/*}" && echo "$stamp" >"$at_first"
elif [[ ${start[0]} != --resume ]] && [[ ! -e $at_first || $(<"$at_first") != "$stamp" ]]; then
  start=(--resume auto)
fi
read -r step_before saved_before <<<"$(reached)"
if [[ ${start[0]} == --fresh ]]; then step_before=0 saved_before=0; fi
echo "triga: job $SLURM_JOB_ID, start $((${SLURM_RESTART_COUNT:-0} + 1)), on $SLURM_JOB_NODELIST: $run_dir from step $saved_before"

# From SIGTERM to SIGKILL when the job is cancelled, requeued or preempted: a run warns when it needs longer.
if [[ -z ${TRIGA_KILL_WAIT_SECONDS-} ]]; then
  kill_wait=$(timeout 10 scontrol show config 2>/dev/null | sed -n 's/^KillWait *= *\([0-9]\{1,\}\) sec.*/\1/p')
  if [[ -n $kill_wait ]]; then export TRIGA_KILL_WAIT_SECONDS=$kill_wait; fi
fi

# Ranks that were killed could not give the run's folder up: it is theirs until they are silent for a minute.
for ((i = 0; i < 40; ++i)); do
  if [[ -n $asked ]]; then break; fi
  touched=$(stat -c %Y "$run_dir/lease.json" 2>/dev/null) || break
  if (($(date +%s) - touched > 65)); then break; fi
  sleep 2
done
if [[ -n $asked ]]; then
  echo "triga: the ranks were not started"
  exit 75
fi

srun "${step_arguments[@]}" "${rank[@]}" "${start[@]}" &
step=$!
if [[ -n $asked ]]; then kill -USR1 "$step"; fi  # it came between the two
wait "$step"
status=$?
while kill -0 "$step" 2>/dev/null; do  # a signal ended the wait, not srun
  wait "$step"
  status=$?
done
wait "$step" 2>/dev/null
last=$?
if ((last != 127)); then status=$last; fi
trap '' INT TERM USR1 USR2

# The run's own word counts, if it is of this start; srun has merged the statuses of the ranks.
if [[ $(status_written) == "$stamp" ]]; then
  # 128 and SIGHUP, SIGINT, SIGKILL, SIGUSR1, SIGUSR2 or SIGTERM; others are crashes.
  if [[ -n $asked && " 75 129 130 137 138 140 143 " == *" $status "* ]]; then
    echo "triga: stopped before the run began (exit status $status)"
    exit 75
  fi
  echo "triga: the run did not begin; the reason is above (exit status $status)"
  exit "$status"
fi
outcome=$(field exit_status)
read -r step_now saved_now <<<"$(reached)"
now=$((step_now > saved_now ? step_now : saved_now))
if [[ -z $outcome ]]; then
  outcome=6
  cause="all ranks ended without a report, srun with status $status"
  printf '{\n  "state": "failed",\n  "cause": "%s",\n  "step": %d,\n  "exit_status": 6\n}\n' "$cause" "$now" \
    >"$run_dir/.status.json.$SLURM_JOB_ID" && mv "$run_dir/.status.json.$SLURM_JOB_ID" "$run_dir/status.json"
  echo "triga: $cause (killed: out of memory, kill -9, a lost host); the logs of ranks: $run_dir/log"
fi
if [[ $outcome != 0 && $outcome != 75 && -s $run_dir/failure.txt ]]; then  # the earliest cause, below what followed from it
  echo
  cat "$run_dir/failure.txt"
fi
crashed=$(grep -c '"signal": ' "$run_dir/status.json")  # which may be the host's fault
case $outcome-$crashed in
  6-* | 75-* | 1-1) ;;  # a lost peer; stopped on a signal; a crash: started again
  *)
    echo "triga: ended at step $now with exit status $outcome"
    rm -f "$at_first"
    exit "$outcome"
    ;;
esac
if ((step_now <= step_before && saved_now <= saved_before)); then
  echo "triga: exit status $outcome, and no step was gained since step $((step_before > saved_before ? step_before : saved_before)): not started again"
  rm -f "$at_first"
  exit "$outcome"
fi
job=$SLURM_JOB_ID
if [[ -n ${SLURM_ARRAY_TASK_ID-} ]]; then job=${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID; fi
state=$(scontrol show job -o "$job" 2>/dev/null | sed -n 's/.*JobState=\([A-Z_]*\).*/\1/p')
case $state in
  RUNNING | TIMEOUT | "") ;;
  *)  # scancel, or a requeue from elsewhere
    echo "triga: exit status $outcome at step $now; Slurm has ended the job ($state)"
    exit "$outcome"
    ;;
esac
echo "triga: exit status $outcome at step $now; the job goes back into the queue"
scontrol requeue "$job" || echo "triga: it cannot; the same triga submit goes on"
exit "$outcome"
)bash";

/// A value in a line of #SBATCH, which takes quotes as a shell does.
std::string directive(const std::string& option, const std::string& value) {
  if (value.empty()) return "";
  std::string quoted = value;
  if (value.find_first_of(" \t\"'\\#") != std::string::npos) {
    quoted = "\"";
    for (const char c : value) {
      if (c == '"' || c == '\\') quoted += '\\';
      quoted += c;
    }
    quoted += '"';
  }
  return fmt::format("#SBATCH --{}={}\n", option, quoted);
}

std::string number(const std::optional<int64_t>& value) {
  return value ? std::to_string(*value) : "";
}

/// A path in which Slurm replaces %j and its likes.
std::string without_patterns(const std::string& path) {
  std::string escaped;
  for (const char c : path) escaped += c == '%' ? "%%" : std::string(1, c);
  return escaped;
}

std::string directives(const SlurmJob& job) {
  const LaunchConfig& launch = job.launch;
  SlurmJob escaped = job;
  escaped.run_directory = without_patterns(job.run_directory.string());
  std::string text;
  text += directive("job-name", job.name);
  text += directive("nodes", std::to_string(launch.nodes));
  text += directive("ntasks-per-node", std::to_string(launch.ranks_per_node));
  text += directive("cpus-per-task", number(launch.cpus_per_rank));
  text += directive("gpus-per-node", number(launch.gpus_per_node));
  text += directive("mem", launch.memory);
  text += directive("time", launch.time);
  text += directive("partition", launch.partition);
  text += directive("account", launch.account);
  text += directive("array", launch.array);
  text += directive("chdir", job.working_directory.string());
  text +=
      directive("output", slurm_log(escaped, launch.array.empty() ? "%j" : "%A", "%a").string());
  text += "#SBATCH --open-mode=append\n#SBATCH --requeue\n";
  if (launch.save_before_seconds > 0)
    text += fmt::format("#SBATCH --signal=B:USR1@{}\n", launch.save_before_seconds);
  for (const auto& further : {launch.sbatch, job.sbatch})
    for (const std::string& argument : further) text += fmt::format("#SBATCH {}\n", argument);
  return text;
}

std::string set_up(const SlurmJob& job) {
  std::string text;
  if (!job.launch.modules.empty())
    text +=
        fmt::format("module load {0} || {{ echo {1}; exit 2; }}\n", shell_line(job.launch.modules),
                    shell_word("triga: module load " + shell_line(job.launch.modules) + " failed"));
  for (const std::string& line : job.launch.setup) text += line + "\n";
  std::map<std::string, std::string> variables = job.launch.environment;
  variables.insert(job.variables.begin(), job.variables.end());  // those that are there stay
  for (const auto& [name, value] : variables)
    text += fmt::format("export {}={}\n", name, shell_word(value));
  return text.empty() ? "" : "# Of the site.\n" + text + "\n";
}

std::string step(const SlurmJob& job) {
  const LaunchConfig& launch = job.launch;
  std::vector<std::string> arguments = {fmt::format("--nodes={}", launch.nodes),
                                        fmt::format("--ntasks={}", launch.num_ranks()),
                                        fmt::format("--ntasks-per-node={}", launch.ranks_per_node)};
  if (launch.cpus_per_rank)  // a step does not take it over from its job
    arguments.push_back(fmt::format("--cpus-per-task={}", *launch.cpus_per_rank));
  for (const char* further : {"--mpi=pmix", "--kill-on-bad-exit=1", "--export=ALL"})
    arguments.emplace_back(further);
  arguments.insert(arguments.end(), launch.srun.begin(), launch.srun.end());
  std::vector<std::string> rank = job.program;
  rank.insert(rank.end(), job.arguments.begin(), job.arguments.end());
  return fmt::format("step_arguments=({})\nrank=({} --run-dir \"$run_dir\")\nfirst=({})\n",
                     shell_line(arguments), shell_line(rank), shell_line(job.first_arguments));
}

}  // namespace

fs::path slurm_log(const SlurmJob& job, const std::string& number, const std::string& task) {
  const std::string suffix = job.launch.array.empty() ? "" : "_" + task;
  return job.run_directory.parent_path() /
         fmt::format("{}-{}{}.log", job.run_directory.filename().string(), number, suffix);
}

std::string slurm_script(const SlurmJob& job) {
  std::string text = fmt::format("#!/bin/bash\n# {}\n{}\n", job.written_by, directives(job));
  text += kSignals;
  text += set_up(job);
  text += fmt::format("run_dir={}{}\n", shell_word(job.run_directory.string()),
                      job.launch.array.empty() ? "" : "/$SLURM_ARRAY_TASK_ID");
  if (job.launch.save_before_seconds > 0)
    text += fmt::format("export TRIGA_GRACE_SECONDS={}\n", job.launch.save_before_seconds);
  text += step(job);
  return text + kRun;
}

}  // namespace triga
