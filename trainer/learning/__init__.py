"""The training loop, what it minimises, and what it keeps of a run."""
