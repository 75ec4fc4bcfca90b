"""The simulated car: a track, a world, a camera, two wheels and an expert driver."""
