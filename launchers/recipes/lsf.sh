#!/bin/bash
# A job of LSF: bsub < lsf.sh. `triga launch` takes the hosts of $LSB_DJOB_HOSTFILE.
#BSUB -J triga
#BSUB -n 8
#BSUB -R "span[ptile=4]"
#BSUB -gpu "num=4"
#BSUB -W 12:00
#BSUB -o triga-%J.log
#BSUB -wt 2 -wa USR1
#BSUB -Q "75"

# module load openmpi || exit 2
triga=/opt/triga/bin/triga
run=runs/NAME   # of the experiment
reached() { readlink "$run/checkpoints/latest"; }

# Two minutes before the time limit the run is asked to save and stop. LSF puts the job back into the queue when it ends with 75
# (-Q). That is so after a save, and after a lost peer or host (6), where the newest checkpoint is another one than before: what
# fails at the same place would go on for ever.
step=''
trap 'if [[ -n $step ]]; then kill -USR1 "$step"; fi' INT TERM USR1 USR2
before=$(reached)
export TRIGA_GRACE_SECONDS=120
"$triga" launch experiment.yaml --set launch.ranks_per_node=4 --progress lines &
step=$!
wait "$step"
status=$?
while kill -0 "$step" 2>/dev/null; do wait "$step"; status=$?; done  # the signal ended the wait
if [[ $(reached) == "$before" ]]; then
  if ((status == 75)); then status=1; fi
elif ((status == 6)); then
  status=75
fi
exit "$status"
