#!/bin/bash
# A job of PBS (OpenPBS, PBS Professional): qsub pbs.sh. `triga launch` takes the hosts of $PBS_NODEFILE.
#PBS -N triga
#PBS -l select=2:ncpus=32:mpiprocs=4:ngpus=4
#PBS -l walltime=12:00:00
#PBS -j oe
#PBS -r n

cd "$PBS_O_WORKDIR" || exit 2
# module load openmpi
triga=/opt/triga/bin/triga

# Two minutes before the time limit the run is asked to save and stop (exit 75); then the job is submitted again.
timeout --preserve-status --signal=USR1 $((12 * 3600 - 120)) \
  "$triga" launch experiment.yaml --set launch.ranks_per_node=4 --progress lines
status=$?
if ((status == 75)); then qsub pbs.sh; fi
exit $status
