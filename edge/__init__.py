"""On the car: a bundle on frames, and wheels that stop when anything is wrong."""
