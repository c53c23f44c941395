"""The only knowledge of SLURM: its variables, ids, arrays, commands and scripts."""
