"""``autcar demo`` before it begins; tests/system/test_demo.py runs all of it."""

import pytest

from autcar.errors import DataError
from autcar.verbs import demo


def test_only_a_demos_own_folder_is_replaced(tmp_path):
    first = demo._fresh_folder(tmp_path / "demo")
    (first / "old.png").touch()
    assert not (demo._fresh_folder(first) / "old.png").exists()
    with pytest.raises(DataError, match="was not made by a demo"):
        demo._fresh_folder(tmp_path)
