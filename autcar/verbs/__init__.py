"""The verbs of ``autcar`` that belong to no single package, one file each."""
