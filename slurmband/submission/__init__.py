"""From a command line to a queued array: check, register, write the intent, queue, write the id."""
