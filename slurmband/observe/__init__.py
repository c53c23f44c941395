"""What people ask: how far it is, what runs where, and what became of what."""
