// The triga command. Only main() catches, prints and exits; statuses are those of
// triga::ExitStatus.
#include <fcntl.h>

#include <cstdio>
#include <iostream>

#include "base/foreign_errors.h"
#include "launchers/command.h"
#include "launchers/crash.h"
#include "launchers/unknown_command.h"

namespace {

using triga::ExitStatus;

constexpr char kFooter[] = R"(
Exit status: 0 done; 1 internal error; 2 bad command line or experiment; 3 plugin; 4 data; 5 checkpoint;
6 communication or a lost peer; 7 the run diverged; 8 out of memory; 75 stopped on a signal after saving, start it again.
mpirun and srun merge the statuses of ranks: the run's status.json holds the true one.

Environment: TRIGA_DATA_DIR (data sets; default data/), TRIGA_DATA_MIRROR (folder to take downloads from),
TRIGA_CACHE_DIR, TRIGA_PLUGIN_PATH (folders with plugins, ':' between), TRIGA_GRACE_SECONDS (from a signal to the
end of a job by force) and TRIGA_KILL_WAIT_SECONDS (the same where it is cancelled): a run warns when it needs longer
to save; NO_COLOR.

Start with:  triga check EXPERIMENT.yaml;  triga launch EXPERIMENT.yaml. Experiments to begin with lie in experiments/ of the sources
and share/triga/experiments of an install.)";

int fail(const std::string& message, ExitStatus status) {
  std::cout.flush();
  std::fprintf(stderr, "triga: error: %s\n", message.c_str());
  return static_cast<int>(status);
}

int run(int argc, char** argv) {
  triga::CommandEnvironment environment = triga::read_environment();
  environment.words.assign(argv + 1, argv + argc);
  triga::Command command{environment, {}};
  CLI::App app("Trains models on many processes from one YAML file.", "triga");
  app.set_version_flag("--version", [] { return triga::version_text(); });
  app.require_subcommand(1);
  triga::add_train(app, command);
  triga::add_launch(app, command);
  triga::add_submit(app, command);
  triga::add_check(app, command);
  triga::add_plan(app, command);
  triga::add_status(app, command);
  triga::add_evaluate(app, command);
  triga::add_generate(app, command);
  triga::add_gradients(app, command);
  triga::add_list(app, command);
  triga::add_describe(app, command);
  triga::add_checkpoint(app, command);
  triga::add_data(app, command);
  triga::add_plugin(app, command);
  triga::add_doctor(app, command);
  triga::add_open_plugin(app, command);
  triga::add_report_crash(app, command);
  app.footer(kFooter);  // after the subcommands, which would take it over
  triga::refuse_unknown_command(app, {argv + 1, argv + argc});
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);  // --help, --version
    return fail(std::string(error.what()) + "\n  Run 'triga --help', or 'triga COMMAND --help'.",
                ExitStatus::kUsage);
  }
  triga::say_crashes();
  const ExitStatus status = command.run();
  // A run is what it has written into its folder; of other commands this is all.
  const bool is_run = app.got_subcommand("train") || app.got_subcommand("launch");
  if (!std::cout.flush() && !is_run && status == ExitStatus::kDone)
    return fail("what it prints cannot be written: is the disk full?", ExitStatus::kInternal);
  return static_cast<int>(status);
}

/// Else what is opened first takes the place of the one that is closed, and is written or read as if
/// it were that.
void open_what_is_closed() {
  for (int descriptor = 0; descriptor <= 2; ++descriptor)
    if (::fcntl(descriptor, F_GETFD) < 0) ::open("/dev/null", O_RDWR);  // takes the lowest number
}

}  // namespace

int main(int argc, char** argv) {
  open_what_is_closed();
  const auto run_all = [&] {
    try {
      return run(argc, argv);
    } catch (...) {
      triga::rethrow_as_error();
    }
  };
  try {
    return run_all();
  } catch (const triga::Error& error) {
    return fail(error.what(), error.status());
  }
}
