"""Why a task does not run, and why a band does not move."""
