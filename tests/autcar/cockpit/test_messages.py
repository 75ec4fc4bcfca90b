import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autcar.cockpit.messages import FIELDS, LARGEST, BadMessageError, parse
from autcar.commands import LABELS, Command

GOOD = {
    "take": {},
    "beat": {"lease": 1, "number": 2, "command": "move_fast_forward", "echo": 3},
    "release": {"lease": 1},
    "stop": {},
    "hand_back": {},
    "view": {"on": True},
    "drawn": {"sequence": 4},
    "record": {},
    "pause": {},
    "finish": {},
    "discard": {"seconds": 5},
    "undo": {},
    "save": {"seconds": 2.5},
    "delete": {"session": "a", "first": 0, "last": 9},
    "restore": {"session": "a"},
}


@pytest.mark.parametrize("kind", GOOD)
def test_what_the_page_says_is_heard(kind):
    assert GOOD.keys() == FIELDS.keys()
    order = parse(json.dumps({"do": kind, **GOOD[kind]}))
    assert order["do"] == kind
    if kind == "beat":
        assert order["command"] == Command("move", "fast", "forward")


BAD_VALUES = [
    None,
    True,
    -1,
    1.5,
    math.nan,
    math.inf,
    LARGEST + 1,
    10**400,
    "1",
    "",
    [],
    {},
    "x" * 300,
]


@pytest.mark.parametrize("kind", [kind for kind in GOOD if GOOD[kind]])
def test_every_field_is_checked(kind):
    for name in GOOD[kind]:
        accepted = []
        for value in BAD_VALUES:
            message = {"do": kind, **GOOD[kind], name: value}
            try:
                parse(json.dumps(message))
                accepted.append(value)
            except BadMessageError:
                pass
        allowed = {"seconds": [1.5], "session": ["1"], "on": [True]}.get(name, [])
        assert accepted == allowed, name
        with pytest.raises(BadMessageError):
            parse(json.dumps({"do": kind, **{k: v for k, v in GOOD[kind].items() if k != name}}))
    with pytest.raises(BadMessageError):
        parse(json.dumps({"do": kind, **GOOD[kind], "more": 1}))


@pytest.mark.parametrize(
    "text",
    [
        *("", "{", "[]", "1", "null", '"stop"', "{}", '{"do": 1}', '{"do": ["stop"]}', "\0"),
        *('{"do": "Stop"}', '{"do": "stop", "do": "fly"}', "[" * 500, '{"do":' * 80),
        '{"do": "discard", "seconds": NaN}',
        '{"do": "discard", "seconds": Infinity}',
        '{"do": "discard", "seconds": 1e999}',
        '{"do": "discard", "seconds": -0.0}',
        '{"do": "drawn", "sequence": ' + "9" * 400 + "}",
        '{"do": "beat", "lease": 1, "number": 1, "command": "move_slow_forward", "echo": 1}',
    ],
)
def test_nothing_else_is_heard(text):
    with pytest.raises(BadMessageError):
        parse(text)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(LABELS),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
NAMES = st.sampled_from(sorted({name for fields in FIELDS.values() for name in fields}))
MESSAGES = st.one_of(
    st.text(),
    VALUES.map(json.dumps),
    st.builds(
        lambda kind, fields: json.dumps({**fields, "do": kind}),
        st.sampled_from(list(FIELDS)) | st.text(),
        st.dictionaries(NAMES | st.text(), VALUES, max_size=5),
    ),
)


@given(MESSAGES)
def test_any_text_is_either_understood_or_refused(text):
    try:
        order = parse(text)
    except BadMessageError:
        return
    assert order.keys() == {"do", *FIELDS[order["do"]]}
    if order["do"] == "beat":
        assert order["command"].is_class
