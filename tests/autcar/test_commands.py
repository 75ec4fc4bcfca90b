import ast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autcar.commands import CLASSES, LABELS, MIRROR, STOP, Command
from autcar.errors import CommandError

# The contract with existing recordings and models, written out once more by hand.
EXPECTED = [
    ("left_light_backwards", -0.35, -0.70),
    ("left_light_forward", 0.35, 0.70),
    ("left_medium_backwards", -0.14, -0.70),
    ("left_medium_forward", 0.14, 0.70),
    ("move_fast_forward", 1.00, 1.00),
    ("move_medium_backwards", -0.70, -0.70),
    ("move_medium_forward", 0.70, 0.70),
    ("right_light_backwards", -0.70, -0.35),
    ("right_light_forward", 0.70, 0.35),
    ("right_medium_backwards", -0.70, -0.14),
    ("right_medium_forward", 0.70, 0.14),
    ("stop", 0.0, 0.0),
]


def test_the_twelve_classes_their_order_and_their_wheels():
    assert [(c.label, *c.wheels) for c in CLASSES] == EXPECTED
    assert [c.index for c in CLASSES] == list(range(12))
    assert sorted(LABELS) == list(LABELS)


@pytest.mark.parametrize("command", CLASSES, ids=LABELS)
def test_json_reads_back_and_is_autcars_python_literal(command):
    assert Command.parse(command.to_json()) == command
    literal = ast.literal_eval(command.to_json())
    assert literal["type"] == command.type
    if command.type != "stop":
        key = "speed" if command.type == "move" else "style"
        assert literal == {
            "type": command.type,
            "direction": command.direction,
            key: command.manner,
        }
    assert Command.parse(str(literal)) == command
    assert Command.parse(command.label) == command


def test_mirroring_swaps_left_and_right_and_their_wheels():
    for command in CLASSES:
        left, right = command.wheels
        assert command.mirrored().wheels == (right, left)
        assert CLASSES[MIRROR[command.index]] == command.mirrored()
        assert command.mirrored().mirrored() == command


@pytest.mark.parametrize(
    ("label", "nearest"),
    [
        ("move_slow_forward", "move_medium_forward"),
        ("move_fast_backwards", "move_medium_backwards"),
        ("left_harsh_forward", "left_medium_forward"),
        ("right_harsh_backwards", "right_medium_backwards"),
    ],
)
def test_commands_that_are_driven_but_are_no_class(label, nearest):
    command = Command.from_label(label)
    assert not command.is_class
    assert command.nearest_class().label == nearest
    with pytest.raises(CommandError, match=nearest):
        command.index  # noqa: B018


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("left_light_foward", "'forward' or 'backwards'"),
        ("leftlight_forward", "did you mean left_light_forward"),
        ("fly", "the labels are"),
        ("move_warp_forward", "slow, medium, fast"),
        ("left_light_up", "'forward' or 'backwards'"),
        ('{"type": "left"}', "style"),
        ('{"type": "fly"}', "type"),
        ("{'type': __import__('os')}", "neither"),
        ("{", "neither"),
        ("", "labels are"),
        ("{1, 2}", "not an object"),
        ("{" * 5000, "neither"),
        ('{"a":' * 200_000, "neither"),
    ],
)
def test_what_is_no_command_says_why(text, says):
    with pytest.raises(CommandError, match=says):
        Command.parse(text)


@given(st.text())
def test_parse_raises_nothing_but_its_own_error(text):
    try:
        command = Command.parse(text)
    except CommandError:
        return
    assert command.label


@given(
    st.dictionaries(
        st.sampled_from(["type", "direction", "speed", "style"]), st.text() | st.none()
    )
)
def test_any_mapping_is_a_command_or_a_clear_error(mapping):
    try:
        command = Command.from_mapping(mapping)
    except CommandError:
        return
    assert command == STOP or command.direction in ("forward", "backwards")


def test_a_stop_has_no_direction():
    with pytest.raises(CommandError, match="stop"):
        Command("stop", None, "forward")
