"""Signs of life, and the judgement on those who show none."""
