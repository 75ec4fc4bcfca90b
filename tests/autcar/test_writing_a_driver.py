"""The page on drivers says what is so: its driver is taken from it and keeps the contract."""

import re
from pathlib import Path

from autcar.config import load_config
from autcar.motors import open_motors
from autcar.testing import check_motors

PAGE = Path(__file__).parents[2] / "docs/writing-a-driver.md"


def test_the_pages_driver(tmp_path, monkeypatch):
    blocks = dict(re.findall(r"```(\w+)\n(.*?)```", PAGE.read_text(), re.DOTALL)[1:2])
    tables = re.findall(r"```toml\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert len(blocks["python"].splitlines()) <= 30
    (tmp_path / "my_board.py").write_text(blocks["python"])
    about = tmp_path / "my_board-1.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: my-board\nVersion: 1\n")
    (about / "entry_points.txt").write_text("[autcar.motors]\nmy-board = my_board:BoardMotors\n")
    assert '[project.entry-points."autcar.motors"]' in tables[0]
    assert 'my-board = "my_board:BoardMotors"' in tables[0]
    monkeypatch.syspath_prepend(tmp_path)

    port = tmp_path / "port"
    port.write_bytes(b"")
    path = tmp_path / "car.toml"
    path.write_text(tables[1].replace("/dev/ttyS0", str(port)))
    motors = load_config(path).motors

    def wheels():
        lines = port.read_text().splitlines()
        left, right = map(float, lines[-1].split())
        return left, right

    check_motors(lambda: open_motors({"driver": motors.driver, **motors.options}), wheels)
