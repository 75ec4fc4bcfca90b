"""On a workstation: from recordings to a bundle that drives."""
