"""The car as an appliance: services that start at boot, deployment, several cars, updates."""
