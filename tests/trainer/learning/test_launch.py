import sys
from pathlib import Path

from trainer.learning.launch import other_workers, worker_commands


def test_workers_elsewhere_are_started_over_ssh_and_those_here_without():
    hosts = ["10.0.0.1:2222", "pi@box:2222", "127.0.0.1:2223"]
    words = ["train", "my data", "--workers", ",".join(hosts), "--launch"]
    there, here = worker_commands(hosts, words, Path("/home/me/car"))
    assert there[:-1] == ["ssh", "-o", "BatchMode=yes", "pi@box"]
    assert there[-1] == (
        f"cd /home/me/car && autcar train 'my data' --workers {','.join(hosts)} --worker 1"
    )
    assert here[:3] == [sys.executable, "-m", "autcar"]
    assert here[-2:] == ["--worker", "2"]
    assert "--launch" not in here


def test_the_others_end_with_this_worker(tmp_path):
    started = tmp_path / "started"
    script = f"import time; open({str(started)!r}, 'w').close(); time.sleep(60)"
    try:
        with other_workers([[sys.executable, "-c", script]]):
            while not started.exists():
                pass
            raise KeyboardInterrupt
    except KeyboardInterrupt:
        pass
    with other_workers([[sys.executable, "-c", "pass"]]):
        pass
