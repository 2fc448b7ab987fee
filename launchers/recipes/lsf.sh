#!/bin/bash
# A job of LSF: bsub < lsf.sh. `triga launch` takes the hosts of $LSB_DJOB_HOSTFILE.
#BSUB -J triga
#BSUB -n 8
#BSUB -R "span[ptile=4]"
#BSUB -gpu "num=4"
#BSUB -W 12:00
#BSUB -o triga-%J.log
#BSUB -wt 2 -wa USR1
#BSUB -Q "75 6"

# module load openmpi
# Two minutes before the time limit the run is asked to save and stop. Exit statuses 75 (saved) and 6 (a lost peer) put the job
# back into the queue (-Q); `exec`, so that the signal reaches triga.
exec /opt/triga/bin/triga launch experiment.yaml --set launch.ranks_per_node=4 --progress lines
