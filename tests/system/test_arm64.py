"""The car's packages and the shipped bundle on 64-bit Arm, under emulation."""

import pytest

from tests.system import arm64


@pytest.mark.skipif(arm64.missing() is not None, reason=str(arm64.missing()))
@pytest.mark.timeout(600)
def test_trixie_for_arm_scores_as_this_machine_does():
    found = arm64.check("trixie")
    assert found["against_this_machine"]["int8"]["same_argmax"] == arm64.FRAMES
