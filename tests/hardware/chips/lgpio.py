"""GPIO lines that are not there: enough of lgpio for gpiozero's own lgpio factory.

It does as lgpio 0.2 does, also where that is a trap: ending pulses leaves the line at the
level it has, ending what makes no pulses is an error, an output that is claimed as an
input floats, and what a closed chip drove goes on being driven, as on a Raspberry Pi.
"""

SET_PULL_UP, SET_PULL_DOWN, SET_PULL_NONE = 32, 64, 128
RISING_EDGE, FALLING_EDGE, BOTH_EDGES = 1, 2, 3


class error(Exception):  # noqa: N801, N818 lgpio's name
    pass


class Line:
    def __init__(self):
        self.output = False
        self.level = None  # None while it floats
        self.pulses = None  # (hertz, percent)
        self.most = 0.0  # the highest duty that was asked for


class Chip:
    """The lines, which outlive their owner. ``owned`` are those that somebody has claimed."""

    def __init__(self):
        self.lines = {number: Line() for number in range(54)}
        self.owned = set()
        self.elsewhere = set()
        self.open = False
        self.pulsing_high = True  # what a pulsed line is at whenever one looks


CHIP = Chip()


def gpiochip_open(number):
    CHIP.open = True
    return 7


def gpiochip_close(handle):
    CHIP.open = False
    for line in CHIP.lines.values():
        line.pulses = None
    CHIP.owned.clear()


def _claim(handle, gpio, output, level=None):
    assert handle == 7
    assert CHIP.open
    if gpio in CHIP.elsewhere:
        raise error("'GPIO busy'")
    CHIP.owned.add(gpio)
    line = CHIP.lines[gpio]
    line.output, line.level, line.pulses = output, level, None


def gpio_claim_input(handle, gpio, flags=0):
    _claim(handle, gpio, output=False)


def gpio_claim_output(handle, gpio, level=0, flags=0):
    _claim(handle, gpio, output=True, level=level)


def gpio_free(handle, gpio):
    CHIP.owned.discard(gpio)


def gpio_get_mode(handle, gpio):
    return 2 if CHIP.lines[gpio].output else 0


def gpio_read(handle, gpio):
    return CHIP.lines[gpio].level or 0


def gpio_write(handle, gpio, level):
    assert gpio in CHIP.owned
    assert CHIP.lines[gpio].output
    CHIP.lines[gpio].level = int(level)


def tx_pwm(handle, gpio, hertz, percent, offset=0, cycles=0):
    line = CHIP.lines[gpio]
    assert line.output
    if hertz:
        line.pulses = hertz, percent
        line.level = int(CHIP.pulsing_high and percent > 0)
        line.most = max(line.most, percent)
    elif line.pulses is None:
        raise error("'bad PWM micros'")
    else:
        line.pulses = None
