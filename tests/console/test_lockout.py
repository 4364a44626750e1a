"""Guesses are few, by address and by name; and whoever has been in before comes in, whatever others guess."""

import pytest

from v2g_edge.console.lockout import (
    ADDRESS_TRIES,
    KEPT,
    LOCK_MAX_S,
    NAME_EACH_S,
    NAME_TRIES,
    TRIES,
    Caller,
    Lockout,
)

HOME, THIEF = Caller("10.0.0.7"), Caller("10.0.0.66")


@pytest.fixture
def lockout() -> Lockout:
    return Lockout(b"k" * 32)


def guesses(lockout: Lockout, name: str, caller: Caller, seconds: float, every_s: float = 0.1) -> int:
    """How many tries of this caller are heard in so long."""
    heard, now_s = 0, 0.0
    while now_s < seconds:
        if lockout.wait_s(name, caller, now_s) <= 0.0:
            lockout.count(name, caller, now_s)
            heard += 1
        now_s += every_s
    return heard


def test_one_caller_waits_ever_longer_and_no_longer_than_a_quarter_of_an_hour(lockout: Lockout) -> None:
    waits = []
    now_s = 0.0
    for _ in range(TRIES + 15):
        lockout.count("otto", HOME._replace(address="127.0.0.1"), now_s)
        waits.append(lockout.wait_s("otto", HOME._replace(address="127.0.0.1"), now_s))
        now_s += waits[-1]
    assert waits[: TRIES - 1] == [0.0] * (TRIES - 1)
    assert waits[TRIES - 1 : TRIES + 3] == [2.0, 4.0, 8.0, 16.0]
    assert waits[-1] == LOCK_MAX_S


def test_guesses_of_another_address_keep_nobody_out(lockout: Lockout) -> None:
    """Neither at an address of its own, nor where the name has logged in before."""
    lockout.came_in("otto", HOME)
    guesses(lockout, "otto", THIEF, 600.0)
    for number in range(NAME_TRIES):
        lockout.count("otto", Caller(f"10.0.1.{number}"), 600.0)
    assert lockout.wait_s("otto", THIEF, 600.0) > 0.0
    assert lockout.wait_s("otto", HOME, 600.0) == 0.0


@pytest.mark.parametrize("address", ["10.0.0.66", "127.0.0.1", "::1", "nonsense", ""])
def test_a_browser_that_was_in_comes_in_also_from_the_address_of_the_guesser(
    lockout: Lockout, address: str
) -> None:
    """Behind one router, or behind a proxy on this machine."""
    thief, otto = Caller(address), Caller(address, lockout.new_mark("otto"))
    guesses(lockout, "otto", thief, 600.0)
    assert lockout.wait_s("otto", thief, 600.0) > 0.0
    assert lockout.wait_s("otto", otto, 600.0) == 0.0


def test_a_mark_counts_for_its_name_alone_and_has_few_tries_too(lockout: Lockout) -> None:
    mark = lockout.new_mark("vera")
    guesses(lockout, "otto", THIEF, 600.0)
    for forged in (mark, mark.partition(".")[0] + "." + "0" * 64, "x", ".", "ä.ä", mark + "0"):
        assert lockout.wait_s("otto", THIEF._replace(mark=forged), 600.0) > 0.0
    assert Lockout(b"j" * 32).new_mark("otto") != lockout.new_mark("otto")
    otto = Caller("10.0.0.9", lockout.new_mark("otto"))
    assert guesses(lockout, "otto", otto, 3_600.0, 1.0) <= TRIES + 15


def test_an_address_has_few_tries_for_all_names_together(lockout: Lockout) -> None:
    """One password for each of many names; a right one between them gives back its own try alone."""
    heard = 0
    for number in range(10 * ADDRESS_TRIES):
        if lockout.wait_s(f"name{number}", THIEF, 0.0) <= 0.0:
            lockout.count(f"name{number}", THIEF, 0.0)
            heard += 1
        if lockout.wait_s("own", THIEF, 0.0) <= 0.0:
            lockout.count("own", THIEF, 0.0)
            lockout.came_in("own", THIEF)
    assert heard == ADDRESS_TRIES
    assert lockout.wait_s("otto", HOME, 0.0) == 0.0


def test_a_name_has_few_tries_from_all_addresses_together(lockout: Lockout) -> None:
    heard = 0
    for number in range(3 * NAME_TRIES):
        caller = Caller(f"10.{number}.0.1")
        if lockout.wait_s("otto", caller, 0.0) <= 0.0:
            lockout.count("otto", caller, 0.0)
            heard += 1
    assert heard == NAME_TRIES
    assert lockout.wait_s("otto", Caller("10.250.0.1"), NAME_EACH_S) == 0.0
    assert lockout.wait_s("vera", Caller("10.251.0.1"), 0.0) == 0.0


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("2001:db8::1", "2001:db8::ffff:2"),
        ("::ffff:10.0.0.66", "10.0.0.66"),
        ("fe80::1%eth0", "fe80::2%eth0"),
    ],
)
def test_the_addresses_of_one_machine_count_as_one(lockout: Lockout, one: str, other: str) -> None:
    guesses(lockout, "otto", Caller(one), 600.0)
    assert lockout.wait_s("otto", Caller(other), 600.0) > 0.0


def test_what_is_remembered_is_bounded(lockout: Lockout) -> None:
    for number in range(3 * KEPT):
        caller = Caller(f"10.{number >> 8}.{number & 255}.1")
        lockout.count(f"name{number}", caller, 0.0)
        lockout.came_in(f"name{number}", caller)
        lockout.count(f"name{number}", caller, 0.0)
    kept = (lockout._rows, lockout._homes, lockout._addresses._left, lockout._names._left)
    assert all(len(each) <= KEPT for each in kept)


def test_a_new_password_ends_every_wait_of_its_name(lockout: Lockout) -> None:
    proxy = Caller("127.0.0.1")
    guesses(lockout, "otto", proxy, 600.0)
    lockout.forget("otto")
    assert lockout.wait_s("otto", proxy, 600.0) == 0.0
