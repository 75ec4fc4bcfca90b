"""On the car: record frames labelled with the command in force."""
