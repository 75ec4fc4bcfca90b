"""The claim that keeps several processes from doing the same trial."""

import subprocess
import sys
import threading

from trainer.sweep import _locked


def test_a_claim_ends_with_the_process_that_held_it(tmp_path):
    code = (
        "import sys, time; from pathlib import Path; from trainer.sweep import _locked\n"
        "with _locked(Path(sys.argv[1])): print('held', flush=True); time.sleep(60)"
    )
    study = tmp_path / "study"
    holder = subprocess.Popen(
        [sys.executable, "-c", code, str(study)], stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout.readline() == "held\n"

    def claim():
        with _locked(study):
            pass

    waiting = threading.Thread(target=claim, daemon=True)
    waiting.start()
    waiting.join(0.3)
    assert waiting.is_alive()
    holder.kill()
    holder.wait()
    waiting.join(5)
    assert not waiting.is_alive()
