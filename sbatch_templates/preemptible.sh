#!/bin/bash
# One worker per array element, on nodes that may be taken away at any time.
# By hand: sbatch --array=0-99 preemptible.sh workflow.py [arguments]

#SBATCH --job-name=slurmband
#SBATCH --ntasks=1
#SBATCH --cpus-per-task=1
#SBATCH --time=01:00:00
# Write here what your site calls its preemptible queue.
# #SBATCH --partition=preempt
# #SBATCH --qos=scavenger
# A warning two minutes before the end of time: the worker claims no more and leaves in order.
#SBATCH --signal=B:USR1@120
# Preempted elements come back, with the same id, and their logs go on where they were.
#SBATCH --requeue
#SBATCH --open-mode=append
# {{ directives }}

# Until the worker is up, the warning must not kill it.
trap '' USR1

# --- your site: modules, conda, containers ---------------------------------------------------
# module load python/3.11
# source ~/venvs/study/bin/activate
# ----------------------------------------------------------------------------------------------

# How several workers of one element are started (--workers-per-element).
# shellcheck disable=SC2034  # used by the lines that replace the mark below
launch=(srun --kill-on-bad-exit=0 --cpus-per-task="${SLURM_CPUS_PER_TASK:-1}")
worker=("${SLURMBAND_PYTHON:-python3}" -m slurmband work "$@")
# {{ worker }}

# exec, so that SLURM's signals reach the worker and not this shell.
exec "${worker[@]}"
