"""What slurmband costs: measured, beside others, on one machine in one run."""
