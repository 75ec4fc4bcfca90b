"""The kernel's /sys/class/pwm as a Pi 4 and a Pi 5 show it, in ordinary files."""

CHIPS = {
    "Pi 4": {"pwmchip0": "soc/fe20c000.pwm"},
    "Pi 5": {
        "pwmchip0": "axi/1000120000.pcie/1f0009c000.pwm",  # the fan's
        "pwmchip2": "axi/1000120000.pcie/1f00098000.pwm",
    },
}


def make(folder, model, channels=4):
    """A ``/sys/class/pwm`` below ``folder``; returns it."""
    found = folder / "class"
    for chip, device in CHIPS[model].items():
        place = folder / "devices" / device
        place.mkdir(parents=True)
        (found / chip).mkdir(parents=True)
        (found / chip / "device").symlink_to(place)
        for number in range(channels):
            channel = found / chip / f"pwm{number}"
            channel.mkdir()
            for name in ("period", "duty_cycle", "enable"):
                (channel / name).write_text("0")
    return found


def pulse_us(folder, chip, channel):
    """The pulse that a channel makes, µs; 0 while it is off."""
    place = folder / chip / f"pwm{channel}"
    if (place / "enable").read_text() == "0":
        return 0.0
    assert (place / "period").read_text() == "20000000"
    # Unlike the kernel's, these files are empty for a moment while they are written.
    while not (text := (place / "duty_cycle").read_text()):
        pass
    return int(text) / 1000
