"""Recordings of any kind, split, balanced, and turned into batches."""
