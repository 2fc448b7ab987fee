#!/bin/bash
# A job of PBS (OpenPBS, PBS Professional): qsub pbs.sh. `triga launch` takes the hosts of $PBS_NODEFILE.
#PBS -N triga
#PBS -l select=2:ncpus=32:mpiprocs=4:ngpus=4
#PBS -l walltime=12:00:00
#PBS -j oe
#PBS -r n

cd "$PBS_O_WORKDIR" || exit 2
# module load openmpi || exit 2
triga=/opt/triga/bin/triga
run=runs/NAME   # of the experiment
reached() { readlink "$run/checkpoints/latest"; }

# Two minutes before the time limit the run is asked to save and stop (exit 75). It is submitted again after that, or after a lost
# peer or host (6), but only if its newest checkpoint is another one than before: what fails at the same place would go on for ever.
before=$(reached)
export TRIGA_GRACE_SECONDS=120
timeout --foreground --preserve-status --signal=USR1 $((12 * 3600 - 120)) \
  "$triga" launch experiment.yaml --set launch.ranks_per_node=4 --progress lines
status=$?
if [[ $status == 75 || $status == 6 ]] && [[ $(reached) != "$before" ]]; then qsub pbs.sh; fi
exit $status
