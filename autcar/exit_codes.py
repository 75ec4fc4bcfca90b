"""The exit codes of every autcar program, and what they mean."""

from __future__ import annotations

OK, FAILED, WRONG_INPUT, BUG, NO_CAMERA, INTERRUPTED, TERMINATED = 0, 1, 2, 3, 69, 130, 143

EXIT_CODES = {
    OK: "done",
    FAILED: "the work ended badly: the car stopped on a fault, or a check failed",
    WRONG_INPUT: "wrong input: an option, `car.toml`, a recording or a bundle; the message says "
    "which. A service is not started again",
    BUG: "a fault in autcar itself, with a traceback to report",
    NO_CAMERA: "a service found no camera for 10 s; it is not started again",
    INTERRUPTED: "Ctrl-C, where work was cut short; `drive` and `record` end so with 0",
    TERMINATED: "terminated (SIGTERM or SIGHUP), wheels at rest",
}
