"""Updates: which version a site takes, and what becomes of one that is not healthy. The whole way with apt
and systemd is shown by ``make test-systemd``.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from v2g_edge.host.upkeep import apt, trial
from v2g_edge.host.upkeep.apt import AptError
from v2g_edge.host.upkeep.releases import DAY_S, Choice, UpdateSettings, choose
from v2g_edge.host.upkeep.update import Before, UpdateError, Updater, read_settings

NOW_S = 1e9
OLD, MID, NEW = "0.2.0~deb12u1", "0.3.0~deb12u1", "0.10.0~deb12u1"


def newer(version: str, other: str) -> bool:
    def key(text: str) -> tuple[int, ...]:
        return tuple(map(int, trial.upstream(text).split(".")))

    return key(version) > key(other)


def chosen(
    offered: tuple[str, ...],
    ring: str = "canary",
    seen: dict[str, float] | None = None,
    blocked: dict[str, str] | None = None,
) -> Choice:
    settings = UpdateSettings(ring=ring, wait_days=7.0)  # type: ignore[arg-type]
    return choose(
        OLD,
        offered,
        settings,
        seen_wall_s=seen or {},
        blocked=blocked or {},
        now_wall_s=NOW_S,
        is_newer=newer,
    )


def test_a_canary_takes_the_newest_at_once() -> None:
    assert chosen((MID, NEW, OLD)).version == NEW


def test_nothing_newer_is_nothing() -> None:
    assert chosen((OLD, "0.1.0~deb12u1")).version == ""
    assert chosen(()).version == ""


def test_a_stable_site_waits_from_the_day_it_saw_a_version() -> None:
    seen = {MID: NOW_S - 7.0 * DAY_S, NEW: NOW_S - 6.9 * DAY_S}
    found = chosen((MID, NEW), "stable", seen)
    assert found.version == MID, "the newest that has waited long enough"
    waiting = chosen((NEW,), "stable", seen)
    assert waiting.version == ""
    assert "waits 0.1 days more" in waiting.text


def test_a_version_that_was_never_seen_waits_the_whole_time() -> None:
    assert "waits 7.0 days more" in chosen((NEW,), "stable").text


@pytest.mark.parametrize("ring", ["canary", "stable"])
def test_what_failed_here_is_left_out(ring: str) -> None:
    seen = dict.fromkeys((MID, NEW), 0.0)
    assert chosen((MID, NEW), ring, seen, {NEW: "was not healthy"}).version == MID
    found = chosen((NEW,), ring, seen, {NEW: "was not healthy"})
    assert (found.version, "was not healthy here" in found.text) == ("", True)


@pytest.mark.parametrize("text", ["ring = 'beta'", "wait_days = 'x'", "rings = 1", "[", "\x00"])
def test_settings_that_cannot_be_used_name_file_and_keys(text: str, tmp_path: Path) -> None:
    (tmp_path / "update.toml").write_text(text)
    with pytest.raises(UpdateError, match=r"update\.toml.*ring .*wait_days"):
        read_settings(tmp_path / "update.toml")


def test_the_shipped_settings_are_the_defaults() -> None:
    assert read_settings(Path("debian/update.toml")) == UpdateSettings()
    assert read_settings(Path("none.toml")) == UpdateSettings()


class Machine:
    """A machine on which the trial runs: packages, unit and clock are played."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.health: list[dict[str, Any] | None] = [healthy()]
        self.commands: list[tuple[str, ...]] = []
        self.broken: set[str] = set()
        self.unit = {"NRestarts": ["0"], "ActiveState": ["active"]}
        self.now_s = 0.0
        patch.setattr(trial, "asked", lambda _socket: self._next(self.health))
        patch.setattr(trial, "property_of", lambda key: self._next(self.unit[key]))
        patch.setattr(trial, "run", self._run)
        patch.setattr("v2g_edge.host.upkeep.trial.time.monotonic", lambda: self.now_s)
        patch.setattr("v2g_edge.host.upkeep.trial.time.sleep", self._sleep)

    @staticmethod
    def _next(values: list[Any]) -> Any:
        return values.pop(0) if len(values) > 1 else values[0]

    def _run(self, *command: str) -> bool:
        self.commands.append(command)
        return command[0] not in self.broken

    def _sleep(self, seconds: float) -> None:
        self.now_s += seconds

    def judged(self, stage: str = "trial") -> int:
        note = {"new": NEW, "old": OLD, "kept": "/kept.deb", "links": 2, "socket": "/s", "stage": stage}
        (self.folder / trial.PENDING).write_text(json.dumps(note))
        return trial.main(self.folder)

    def read(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.folder / name).read_text())
        return found

    @property
    def put_back(self) -> bool:
        return any("/kept.deb" in command for command in self.commands)


def healthy(**other: Any) -> dict[str, Any]:
    return {"version": "0.10.0", "ready": True, "links_up": 2, **other}


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(tmp_path, monkeypatch)


def test_a_healthy_version_stays(machine: Machine) -> None:
    machine.health = [None, healthy(links_up=0), healthy(links_up=1), healthy()]
    assert machine.judged() == 0
    assert not machine.put_back
    assert machine.read(trial.LAST)["version"] == NEW
    assert not (machine.folder / trial.PENDING).exists()


@pytest.mark.parametrize(
    ("ill", "word"),
    [
        (None, "does not answer"),
        (healthy(ready=False), "no whole tick"),
        (healthy(links_up=1), "1 outlets are connected, 2 were"),
        (healthy(version="0.2.0"), "version 0.2.0 answers"),
    ],
)
def test_a_version_that_is_not_healthy_within_five_minutes_goes(
    ill: dict[str, Any] | None, word: str, machine: Machine
) -> None:
    machine.health = [ill]
    assert machine.judged() == 1
    assert 300.0 <= machine.now_s <= 310.0
    assert machine.put_back
    assert word in machine.read(trial.LAST)["fault"]
    assert machine.read(trial.LAST)["version"] == OLD
    assert NEW in machine.read(trial.BLOCKED)
    assert not (machine.folder / trial.PENDING).exists()


def test_good_for_a_moment_is_not_healthy(machine: Machine) -> None:
    machine.health = [*[healthy(), healthy(), None] * 40, None]
    assert machine.judged() == 1


def test_a_unit_that_ends_again_and_again_is_a_verdict_at_once(machine: Machine) -> None:
    machine.health, machine.unit["NRestarts"] = [None], ["4", "5", "6", "7"]
    assert machine.judged() == 1
    assert machine.now_s < 30.0
    assert "ended 3 times" in machine.read(trial.LAST)["fault"]


def test_a_unit_that_has_failed_is_a_verdict_at_once(machine: Machine) -> None:
    machine.health, machine.unit["ActiveState"] = [None], ["failed"]
    assert machine.judged() == 1
    assert machine.now_s < 10.0


def test_an_installation_that_was_cut_short_is_taken_back(machine: Machine) -> None:
    assert machine.judged("installing") == 1
    assert machine.commands[0][:2] == ("dpkg", "--configure")
    assert machine.put_back
    assert "cut short" in machine.read(trial.LAST)["fault"]


def test_where_apt_fails_dpkg_puts_it_back(machine: Machine) -> None:
    machine.health, machine.broken = [None], {"apt-get"}
    assert machine.judged() == 1
    assert ("dpkg", "--force-confold", "--install", "/kept.deb") in machine.commands
    assert machine.read(trial.LAST)["version"] == OLD


def test_what_cannot_be_put_back_stays_noted_and_is_tried_again(machine: Machine) -> None:
    machine.health, machine.broken = [None], {"apt-get", "dpkg"}
    assert machine.judged() == 1
    assert (machine.folder / trial.PENDING).exists()
    machine.broken = set()
    assert trial.main(machine.folder) == 1
    assert machine.read(trial.LAST)["version"] == OLD


def test_a_note_that_cannot_be_read_changes_nothing(machine: Machine) -> None:
    (machine.folder / trial.PENDING).write_text("{")
    assert trial.main(machine.folder) == 1
    assert machine.commands == []
    assert trial.main(machine.folder) == 0, "there is nothing to watch any more"


def test_no_daemon_is_no_answer(tmp_path: Path) -> None:
    assert trial.asked(str(tmp_path / "none.sock")) is None


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """apt, played: what the repository has, what is installed."""
    have: dict[str, Any] = {"offered": (OLD, NEW), "installed": OLD, "fails": False, "stage": ""}

    def download(_self: object, version: str, folder: Path) -> Path:
        if version not in have["offered"]:
            raise AptError(f"no {version}")
        path = folder / f"v2g-edge_{version}.deb"
        path.write_text(version)
        return path

    def install(package: Path) -> None:
        have["stage"] = json.loads((tmp_path / trial.PENDING).read_text())["stage"]
        if have["fails"]:
            raise AptError("held packages")
        have["installed"] = package.read_text()

    def judge(_self: object) -> None:
        have["judged"] = json.loads((tmp_path / trial.PENDING).read_text())
        trial.finish(tmp_path, have["judged"], have["installed"], "")

    monkeypatch.setattr(apt, "installed", lambda: have["installed"])
    monkeypatch.setattr(apt, "install", install)
    monkeypatch.setattr(apt, "is_newer", newer)
    monkeypatch.setattr(apt, "version_of", lambda path: path.read_text())
    monkeypatch.setattr(apt.Repository, "refresh", lambda _self: None)
    monkeypatch.setattr(apt.Repository, "offered", lambda _self: have["offered"])
    monkeypatch.setattr(apt.Repository, "download", download)
    monkeypatch.setattr(Updater, "judge", judge)
    return have


def test_the_version_before_is_kept_before_anything_is_installed(
    tmp_path: Path, packages: dict[str, Any]
) -> None:
    updater = Updater(tmp_path, UpdateSettings(ring="canary"))
    assert updater.look(Before(), NOW_S).version == NEW
    last = updater.install(NEW, Before(links=2), "/s")
    assert packages["stage"] == "installing", "a power cut in the middle goes back"
    assert packages["judged"]["stage"] == "trial"
    assert packages["judged"]["links"] == 2
    assert Path(packages["judged"]["kept"]).read_text() == OLD
    assert (tmp_path / "trial.py").read_bytes() == Path(trial.__file__).read_bytes()
    assert last["version"] == NEW


def test_without_a_way_back_nothing_is_installed(tmp_path: Path, packages: dict[str, Any]) -> None:
    packages["offered"] = (NEW,)
    with pytest.raises(UpdateError, match="no way back"):
        Updater(tmp_path, UpdateSettings(ring="canary")).install(NEW, Before(), "/s")
    assert packages["installed"] == OLD
    assert not (tmp_path / trial.PENDING).exists()


def test_an_installation_that_apt_refuses_leaves_no_note(tmp_path: Path, packages: dict[str, Any]) -> None:
    packages["fails"] = True
    with pytest.raises(AptError, match="held"):
        Updater(tmp_path, UpdateSettings()).install(NEW, Before(), "/s")
    assert not (tmp_path / trial.PENDING).exists()


def test_the_wait_of_a_ring_begins_with_a_clock_that_is_right(
    tmp_path: Path, packages: dict[str, Any]
) -> None:
    updater = Updater(tmp_path, UpdateSettings(ring="stable", wait_days=7.0))
    assert updater.look(Before(clock_synchronised=False), 0.0).version == ""
    assert updater.look(Before(clock_synchronised=True), NOW_S).version == "", "1970 began no wait"
    assert updater.look(Before(clock_synchronised=True), NOW_S + 6.0 * DAY_S).version == ""
    packages["offered"] = (OLD,)
    assert updater.look(Before(clock_synchronised=True), NOW_S + 6.5 * DAY_S).version == ""
    packages["offered"] = (OLD, NEW)
    late = updater.look(Before(clock_synchronised=True), NOW_S + 7.5 * DAY_S)
    assert late.version == "", "withdrawn in between: the wait begins anew"
    assert updater.look(Before(clock_synchronised=True), NOW_S + 14.6 * DAY_S).version == NEW


def test_a_version_by_name_is_taken_whatever_the_ring_says(tmp_path: Path, packages: dict[str, Any]) -> None:
    updater = Updater(tmp_path, UpdateSettings())
    assert updater.look(Before(), NOW_S, "0.10.0").version == NEW
    with pytest.raises(UpdateError, match=r"9\.9 is not there; the repository has 0\.2\.0"):
        updater.look(Before(), NOW_S, "9.9")


def test_a_bundle_without_a_signed_index_is_refused(tmp_path: Path) -> None:
    (tmp_path / "stick").mkdir()
    with pytest.raises(AptError, match="no InRelease"):
        apt.source_of_bundle(tmp_path / "stick", tmp_path)
