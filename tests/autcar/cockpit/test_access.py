import pytest

from autcar.cockpit.access import Names, Pairing, is_loopback, same_origin


@pytest.mark.parametrize(
    ("host", "allowed"),
    [
        ("localhost:8080", True),
        ("127.0.0.1:8080", True),
        ("[::1]:8080", True),
        ("LOCALHOST:8080", True),
        ("localhost", False),
        ("localhost:80", False),
        ("evil.example:8080", False),
        ("evil.example", False),
        ("127.0.0.1.evil.example:8080", False),
        ("localhost:8080.evil.example", False),
        ("", False),
        (":8080", False),
        ("192.168.1.5:8080", False),
        ("localhost:8080@evil.example", False),
    ],
)
def test_names_on_this_computer(host, allowed):
    assert Names("127.0.0.1").allow(host, "127.0.0.1", 8080) is allowed


def test_the_address_it_was_reached_by_is_a_name_and_no_other():
    names = Names("0.0.0.0", "car.lan, other.lan:443")
    assert names.allow("192.168.1.5:8080", "192.168.1.5", 8080)
    assert names.allow("[fe80::1]:8080", "fe80::1", 8080)
    assert names.allow("192.168.1.5:8080", "::ffff:192.168.1.5", 8080)
    assert not names.allow("192.168.1.6:8080", "192.168.1.5", 8080)
    assert not names.allow("rebound.example:8080", "192.168.1.5", 8080)
    assert names.allow("car.lan:8080", "192.168.1.5", 8080)
    assert names.allow("car.lan:1", "192.168.1.5", 8080)
    assert names.allow("other.lan:443", "192.168.1.5", 8080)
    assert not names.allow("other.lan:444", "192.168.1.5", 8080)


def test_loopback():
    assert all(map(is_loopback, ("localhost", "127.0.0.1", "127.1.2.3", "::1")))
    assert not any(map(is_loopback, ("0.0.0.0", "::", "10.0.0.1", "car.local")))


def test_only_the_own_origin():
    assert same_origin("http://car.local:8080", "http", "car.local:8080")
    for origin in (None, "", "null", "https://car.local:8080", "http://car.local", "http://evil"):
        assert not same_origin(origin, "http", "car.local:8080")


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


def test_the_code_pairs_however_it_is_typed(clock):
    pairing = Pairing(clock)
    for typed in (pairing.code, pairing.code.lower(), pairing.code.replace("-", " ")):
        token = pairing.pair(typed)
        assert pairing.knows(token)
    assert not pairing.knows(None)
    assert not pairing.knows("")
    assert not pairing.knows(pairing.code)
    assert not pairing.knows("ü")
    assert Pairing(clock).code != pairing.code


def test_guessing_costs_time_whoever_guesses(clock):
    pairing = Pairing(clock)
    for _ in range(5):
        assert pairing.wait_s == 0
        assert pairing.pair("AAAA-AAAA") is None
        clock.now += 1
    assert pairing.wait_s == pytest.approx(55)
    assert pairing.pair(pairing.code) is None, "not heard"
    clock.now += 55
    assert pairing.pair(pairing.code) is not None


def test_few_browsers_stay_paired(clock):
    pairing = Pairing(clock)
    tokens = [pairing.pair(pairing.code) for _ in range(65)]
    assert not pairing.knows(tokens[0])
    assert pairing.knows(tokens[-1])
