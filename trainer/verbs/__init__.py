"""The verbs of ``autcar`` that this package brings, one file each."""
