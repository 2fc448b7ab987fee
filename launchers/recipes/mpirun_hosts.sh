#!/bin/bash
# Hosts without a scheduler, reached by ssh without a password, with Triga and the data under the same paths on each.
#
#   mpirun_hosts.sh EXPERIMENT HOSTFILE [ARGUMENT OF triga train]...      HOSTFILE: a line a host, such as: node1 slots=4
#
# For hosts that can be listed, `triga launch EXPERIMENT --hosts node1,node2` does the same and says more when a run fails.
set -euo pipefail
experiment=$1 hosts=$2
shift 2
triga=$(readlink -f "$(command -v triga)")

# As many ranks as there are slots. Ranks choose their own number of threads, so they are not bound to one core.
# Variables that ranks are to have: -x NAME each. Networks that hosts do not share: --mca btl_tcp_if_include ib0.
exec mpirun --hostfile "$hosts" --bind-to none -x PATH -x LD_LIBRARY_PATH \
  --mca odls_base_sigkill_timeout 30 "$triga" train "$experiment" --progress lines "$@"
