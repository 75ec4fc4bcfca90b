"""Ctrl-C is how a person ends a recording: nothing went wrong."""

import signal
import subprocess
import sys


def test_ctrl_c_ends_a_recording_well(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-m", "autcar.cli", "record", "--port", "0", "--output", str(tmp_path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        assert process.stdout
        assert process.stdout.readline().startswith("cockpit: http://localhost:")
        process.send_signal(signal.SIGINT)
        said, _ = process.communicate(timeout=20)
    finally:
        process.kill()
    assert process.returncode == 0, said
    assert "nothing was recorded" in said
    assert "interrupted" not in said
