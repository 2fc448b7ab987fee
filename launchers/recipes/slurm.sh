#!/bin/bash
# A job of Slurm written by hand, for those who do not take the script of `triga submit --print`, which also goes back into the
# queue by itself. Submit it with: sbatch slurm.sh. The same command again goes on where the run stopped.
#SBATCH --job-name=triga
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=4
#SBATCH --cpus-per-task=8
#SBATCH --gpus-per-node=4
#SBATCH --time=12:00:00
#SBATCH --signal=B:USR1@120
#SBATCH --open-mode=append
#SBATCH --output=triga-%j.log

step=''
trap 'if [[ -n $step ]]; then kill -USR1 "$step"; fi' INT TERM USR1 USR2  # two minutes before the time limit: save and stop
export TRIGA_GRACE_SECONDS=120                                            # so that a run warns when its saves take longer
export TRIGA_KILL_WAIT_SECONDS=30                                         # the same for scancel and preemption: KillWait of scontrol show config

triga=/opt/triga/bin/triga   # of an install that every host sees
experiment=$PWD/experiment.yaml

# module load openmpi || exit 2
# export NCCL_SOCKET_IFNAME=ib0

srun --cpus-per-task=8 --mpi=pmix --kill-on-bad-exit=1 "$triga" train "$experiment" --progress lines &
step=$!
wait "$step"
status=$?
while kill -0 "$step" 2>/dev/null; do wait "$step"; status=$?; done  # the signal ended the wait
exit "$status"
