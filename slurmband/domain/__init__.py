"""Pure values and decisions: nothing in here can do I/O, because it imports nothing that can."""
