"""Recordings: what they are byte by byte, other programs' kinds, and what is wrong with one."""
