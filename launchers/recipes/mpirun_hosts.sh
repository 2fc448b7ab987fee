#!/bin/bash
# Hosts without a scheduler, reached by ssh without a password, with Triga and the data under the same paths on each.
#
#   mpirun_hosts.sh EXPERIMENT HOSTFILE [ARGUMENT OF triga train]...      HOSTFILE: a line a host, such as: node1 slots=4
#
# `triga launch EXPERIMENT --hostfile HOSTFILE` does the same, starts again after a failure (launch.max_restarts), and says more
# when a run fails. This one shows what it comes to.
set -u
experiment=$1 hosts=$2
shift 2
triga=$(readlink -f "$(command -v triga)")

# mpirun kills its ranks about a second after a SIGTERM or SIGINT, before they can save. So it gets a process group of its own,
# in which a Ctrl-C does not reach it, and a signal to this script becomes SIGUSR1, which it passes on: the ranks save and stop (75).
# A second one ends it at once.
step='' asked=''
pass_on() {
  if [[ -z $step ]]; then exit 1; fi
  if [[ -z $asked ]]; then kill -USR1 "$step"; else kill -TERM "$step"; fi
  asked=1
}
trap pass_on INT TERM HUP USR1 USR2

# As many ranks as there are slots. Ranks choose their own number of threads, so they are not bound to one core.
# Variables that ranks are to have: -x NAME each. Networks that hosts do not share: --mca btl_tcp_if_include ib0.
setsid mpirun --hostfile "$hosts" --bind-to none -x PATH -x LD_LIBRARY_PATH \
  --mca odls_base_sigkill_timeout 30 "$triga" train "$experiment" --progress lines "$@" &
step=$!
wait "$step"
status=$?
while kill -0 "$step" 2>/dev/null; do wait "$step"; status=$?; done  # a signal ended the wait
exit "$status"
