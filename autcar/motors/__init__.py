"""Motors: one file per driver, chosen by name in ``car.toml``."""
