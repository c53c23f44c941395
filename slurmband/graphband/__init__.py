"""The worker loop: claim, run, report, and again."""
