"""What the computer tells."""

import subprocess

from autcar import machine


def test_programs_that_are_missing_or_hang_say_nothing(monkeypatch):
    assert machine._run("echo", "hello") == "hello"
    assert machine._run("no-such-program") == ""

    def hang(*_, **__):
        raise subprocess.TimeoutExpired("slow", 10)

    monkeypatch.setattr(subprocess, "run", hang)
    assert machine._run("slow") == ""


def test_the_groups_are_those_of_this_process(monkeypatch):
    import grp
    import os

    mine = grp.getgrgid(os.getegid()).gr_name
    monkeypatch.setattr(os, "getgroups", lambda: [987_654])  # a number without a name
    assert machine._group_names() == {mine}
