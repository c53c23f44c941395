"""Run large task graphs in SLURM job arrays, coordinated by one SQLite file."""
