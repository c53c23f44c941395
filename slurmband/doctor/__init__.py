"""Looks after the place where a band lies: tries the file system, examines what is there."""
