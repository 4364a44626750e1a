"""What an administrator may rely on, each promise shown in the booted box, in this order: the box goes
through a life.
"""

import json
import signal
import subprocess
import time
from pathlib import Path
from typing import Final

from tests.cli.test_failsafe import CONTACTOR, OWN_MAP
from tests.config.small import TEXT
from tests.systemd.artifacts import BROKEN, LATER
from tests.systemd.box import UNIT, Box, until
from tests.systemd.test_units import EXPOSURE_MAX as EXPOSURE_TENTHS_MAX
from v2g_edge import __version__

COILS_PORT: Final = 1503
"""At 1502 the simulated meter of the first site file answers."""
SITE: Final = "/etc/v2g-edge/site.toml"
OWN_COIL: Final = 43
"""The contactor's channel (3) counted from the coil of the site's own register map (40)."""
STATIONS_PORT: Final = 8081
WORKS: Final = TEXT.replace("port = 0\n", f"port = {STATIONS_PORT}\n").replace(
    'host = "192.0.2.10"', f'host = "127.0.0.1"\nport = {COILS_PORT}'
) + CONTACTOR.replace('map = "contactor"', 'map = "ours"')
SIMULATE: Final = "v2g-edge simulate"
"""Of the README's commands the one that runs until it is ended."""
MANAGED_W: Final = 10_700.0
"""What the connection allows, 11 kW less 2 %: the outlet takes 11 kW, and its fallback is 4.6 kW."""
NEWCOMER_MAX_S: Final = 600.0
LEDGER: Final = "/var/lib/v2g-edge/journal.db"
EXPOSURE_MAX: Final = 1.5
CHARGER: Final = "10.20.0.7"
STRANGER: Final = "10.99.0.9"
HARDENED: Final = "/etc/systemd/system/v2g-edge.service.d/20-networks.conf"
OPEN_MAX_S: Final = 5.0
"""From the end of the daemon to the open contactor (case B4)."""
STICK: Final = "/root/stick"
FORGED: Final = "/root/forged"
UPDATE_MAX_S: Final = 480.0
"""Installation, five minutes of trial, and the way back."""
STOP_MAX_S: Final = 10.0
"""What an administrator waits for (issue: stop is done in 10 s)."""


def opened(box: Box) -> int:
    """How often the contactor's coil was written open."""
    log = box.shared / "coils"
    lines = log.read_text(encoding="utf-8").splitlines() if log.exists() else []
    written = [json.loads(line) for line in lines]
    assert {each["coil"] for each in written} <= {OWN_COIL}, "a coil that the site's map does not name"
    return sum(not each["closed"] for each in written)


def a_newcomer_charges_by_the_readme(box: Box) -> str:
    """The commands of the README's Install and First run as they stand there, in the repository's folder:
    from nothing to a first managed charge, of a simulated station.
    """
    box.write("/etc/apt/apt.conf.d/99yes", 'APT::Get::Assume-Yes "true";')  # the newcomer says yes, or Enter
    begun_s = time.monotonic()
    seen = []
    for command in readme_commands():
        if command == SIMULATE:
            box.run("systemd-run", "--quiet", "--unit=first-run", "sh", "-c", command)
            until(lambda: _charges(box, "B01") >= MANAGED_W, NEWCOMER_MAX_S)
            continue
        seen.append(box.run("sh", "-ec", f"cd /srv/shared/first; {command}"))
    took_s = time.monotonic() - begun_s
    assert took_s < NEWCOMER_MAX_S
    why, status = seen[-1], seen[-2]
    assert "guest-B01" in status, status
    assert "may charge with 10.8 kW" in why, why
    box.run("systemctl", "stop", "first-run")
    until(lambda: _charges(box, "B01") == 0.0, 60)
    return f"from the first command to 10.8 kW at a simulated station: {took_s:.0f} s"


def readme_commands() -> list[str]:
    """Every line of the code blocks between the README's Install and Operate."""
    text = Path("README.md").read_text(encoding="utf-8")
    part = text.partition("\n## Install\n")[2].partition("\n## Operate\n")[0]
    commands = [line for block in part.split("```")[1::2] for line in block.strip().splitlines()]
    assert SIMULATE in commands
    assert any("apt install" in command for command in commands)
    return commands


def _charges(box: Box, evse: str) -> float:
    """Metered W at an outlet; 0 while nothing is known."""
    answer = box.run("v2g-edge", "status", "--json", check=False)
    evses = json.loads(answer)["evses"] if answer else []
    return next((each["power_w"] or 0.0 for each in evses if each["id"] == evse), 0.0)


def is_installed_as_it_should_be(box: Box) -> str:
    """No question answered: the daemon runs, and its files belong to whom they should. From here on the
    repository has later versions too.
    """
    box.run("install", "-m", "644", "/srv/shared/repo/v2g-edge-archive-keyring.gpg", "/usr/share/keyrings/")
    box.run("cp", "/srv/shared/repo/v2g-edge.sources", "/etc/apt/sources.list.d/")
    box.run("apt-get", "update", "-q")
    until(lambda: box.show("ActiveState") == "active", 30)
    assert box.run("stat", "-c", "%U %G %a", SITE).split() == ["root", "v2g-edge", "640"]
    assert box.run("stat", "-c", "%U %a", "/etc/v2g-edge/secrets/CP01").split() == ["root", "600"]
    assert box.run("stat", "-c", "%U %a", "/var/lib/v2g-edge").split() == ["v2g-edge", "750"]
    assert "import_limit_w = 11000.0" in box.run("cat", SITE)
    assert box.run("systemctl", "is-enabled", UNIT).strip() == "enabled"
    assert '"site": "depot"' in box.run("v2g-edge", "status", "--json")
    return box.run("dpkg-query", "-W", "-f", "${Version}", "v2g-edge")


def refuses_an_unsigned_repository(box: Box) -> str:
    """A package that somebody else put into the folder is not taken."""
    box.run(
        "sh",
        "-c",
        "cp -r /srv/shared/repo /tmp/other && echo >>/tmp/other/Packages && rm /tmp/other/Packages.gz",
    )
    box.run(
        "sh",
        "-c",
        "sed s,/srv/shared/repo,/tmp/other, /etc/apt/sources.list.d/v2g-edge.sources >/tmp/other.sources",
    )
    options = ("-o", "Dir::Etc::sourcelist=/dev/null", "-o", "Dir::Etc::sourceparts=/dev/null")
    assert box.code("apt-get", "update", *options, "-o", "Dir::Etc::sourcelist=/tmp/other.sources") != 0
    return "a changed index is refused"


def has_its_pages(box: Box) -> str:
    """Manual pages, completions, and every Documentation= of the units points to something."""
    for path in (
        "/usr/share/man/man1/v2g-edge.1.gz",
        "/usr/share/man/man5/v2g-edge-site.toml.5.gz",
        "/usr/share/bash-completion/completions/v2g-edge",
        "/usr/share/zsh/vendor-completions/_v2g-edge",
        "/usr/share/fish/vendor_completions.d/v2g-edge.fish",
    ):
        assert int(box.run("stat", "-c", "%s", path)) > 500, path
    files = [word for word in box.show("Documentation").split() if word.startswith("file://")]
    assert files
    for file in files:
        box.run("test", "-s", file.removeprefix("file://"))
    return "man, completion, Documentation="


def starts(box: Box) -> str:
    """`systemctl start` returns after the first whole tick, and the daemon is its own user without a
    capability.
    """
    box.run("systemctl", "stop", UNIT)
    box.write(SITE, WORKS)
    box.run("install", "-d", "-o", "v2g-edge", "-g", "v2g-edge", "/var/lib/v2g-edge/maps")
    box.write("/var/lib/v2g-edge/maps/ours.toml", OWN_MAP)
    (box.shared / "first.toml").write_text(WORKS, encoding="utf-8")
    box.run("sh", "-c", "echo secret >/etc/v2g-edge/secrets/CP-A")
    begun_s = time.monotonic()
    box.run("systemctl", "start", UNIT)
    took_s = time.monotonic() - begun_s
    assert box.show("ActiveState") == "active"
    assert "outlets connected" in box.show("StatusText")
    status = box.run("cat", f"/proc/{box.main_pid()}/status")
    assert "CapEff:\t0000000000000000" in status
    assert "Seccomp:\t2" in status
    assert box.run("stat", "-c", "%U", f"/proc/{box.main_pid()}").strip() == "v2g-edge"
    assert '"site": "small"' in box.run("v2g-edge", "status", "--json")
    resident_kib = int(status.partition("VmRSS:")[2].split()[0])
    return f"{took_s:.2f} s to the first tick, {resident_kib / 1024:.0f} MiB resident"


def logs_fields(box: Box) -> str:
    """journald has each key of an event as a field, its severity as priority, and its explanation in the
    catalogue.
    """
    entry = box.journal("EVENT=started", "V2G_SITE=small")[-1]
    assert entry["_SYSTEMD_UNIT"] == UNIT
    assert entry["PRIORITY"] == "6"
    until(lambda: bool(box.journal("-u", UNIT, "EVENT=grid_relay_silent")), 30)
    assert box.journal("-u", UNIT, "-p", "err", "EVENT=grid_relay_silent")
    shown = box.run("journalctl", "--no-pager", "-x", "-u", UNIT, "EVENT=grid_relay_silent")
    assert "What to do: cable, input module" in shown
    about = [entry["EVSE"] for entry in box.journal("-u", UNIT, "--output-fields=EVSE") if "EVSE" in entry]
    assert set(about) <= {"A", "B", "B01"}
    return f"EVENT=, EVSE= ({len(about)} lines about chargers), -p err, -x"


def reads_the_clock(box: Box) -> str:
    """The daemon's sandbox refuses to ask and to set the clock; the small unit beside it has asked a
    moment ago.
    """
    skip = (
        "Exec",
        "Type",
        "Notify",
        "Watchdog",
        "Restart",
        "Timeout",
        "KillMode",
        "Syslog",
        "StateD",
        "RuntimeD",
        "LoadC",
    )
    text = (
        Path("systemd/v2g-edge.service")
        .read_text(encoding="utf-8")
        .partition("[Service]")[2]
        .partition("[Install]")[0]
    )
    lines = [line for line in text.splitlines() if "=" in line and not line.startswith(("#", *skip))]
    code = (
        "import ctypes,time\nc=ctypes.CDLL(None)\nb=ctypes.create_string_buffer(512)\nprint(c.adjtimex(b))\n"
    )
    code += (
        "try:\n time.clock_settime(0, time.time()); print('set')\nexcept PermissionError: print('refused')\n"
    )
    code += "print(time.monotonic(), *open('/run/v2g-edge-clock/state').read().split())"
    options = [f"--property={line}" for line in lines]
    out = box.run(
        "systemd-run", "--pipe", "--wait", "--quiet", *options, "/usr/bin/python3", "-c", code
    ).split()
    assert out[:2] == ["-1", "refused"], out
    age_s = float(out[2]) - float(out[4])
    assert -0.1 <= age_s < 5.0, out  # it is written to a tenth of a second
    return f"asking and setting are refused; v2g-edge-clock said {out[3]} {age_s:.1f} s ago"


def knows_roles(box: Box) -> str:
    """By the groups of a user: the first looks, the second also orders, and each order is written down."""
    box.run("useradd", "--groups", "v2g-edge", "anna")
    box.run("useradd", "--groups", "v2g-edge,v2g-edge-operator", "ben")
    as_user = ("runuser", "-u")
    box.run(*as_user, "anna", "--", "v2g-edge", "status", "--json")
    refused = box.run("sh", "-c", "runuser -u anna -- v2g-edge hold --why try 2>&1; test $? = 2", check=True)
    assert "usermod -aG v2g-edge-operator anna" in refused, refused
    box.run(*as_user, "ben", "--", "v2g-edge", "hold", "--why", "a test")
    box.run(*as_user, "ben", "--", "v2g-edge", "release", "hold")
    assert box.code(*as_user, "ben", "--", "v2g-edge", "reload") == 2
    written = box.run("v2g-edge", "ordered")
    assert "anna" in written
    assert "a test" in written
    assert box.journal("EVENT=operator_order", "WHO=ben")
    return "viewer, operator, refusals with the group, orders in log and journal"


def gives_credentials(box: Box) -> str:
    """The password is there for the daemon, under the path that a site file names."""
    where = f"/run/credentials/{UNIT}/secrets_CP-A"
    mode = box.run(
        "nsenter", f"--target={box.main_pid()}", "--mount", "--", "stat", "-c", "%U %a", where
    ).strip()
    assert mode.split()[1] in ("400", "440"), mode
    return f"{where} ({mode})"


def reloads(box: Box) -> str:
    """`systemctl reload` takes a good file into the same process, and refuses a bad one with the old one
    in force.
    """
    old = box.main_pid()
    box.run("sh", "-c", f"sed -i 's/import_limit_w = 100000.0/import_limit_w = 95000.0/' {SITE}")
    box.run("systemctl", "reload", UNIT)
    until(lambda: bool(box.journal("-u", UNIT, "EVENT=site_file_applied")), 10)
    box.run("sh", "-c", f"cp {SITE} /tmp/good; sed -i 's/95000.0/-1.0/' {SITE}")
    assert box.code("systemctl", "reload", UNIT) != 0
    assert box.journal("-u", UNIT, "-p", "warning", "EVENT=site_file_refused")
    assert box.main_pid() == old
    assert "95000.0 -> " in box.run("v2g-edge", "diff", "/srv/shared/first.toml").replace("100000.0", "")
    box.run("sh", "-c", f"cat /tmp/good >{SITE}")
    return "a good file in force in the same process, a bad one refused"


def starts_with_what_last_ran(box: Box) -> str:
    """A site file that was broken while the daemon was down: the last good settings, and an alarm."""
    box.run("systemctl", "stop", UNIT)
    box.run("sh", "-c", f"cp {SITE} /tmp/good; echo '[[nonsense]]' >>{SITE}")
    box.run("systemctl", "start", UNIT)
    assert '"site": "small"' in box.run("v2g-edge", "status", "--json")
    assert box.journal("-u", UNIT, "-p", "err", "EVENT=site_file_unusable")
    box.run("sh", "-c", f"cat /tmp/good >{SITE}; systemctl reload {UNIT}")
    return "the last good settings, with an alarm"


def takes_drop_ins(box: Box) -> str:
    """A file in site.d changes a key of the running daemon, and a reload without it takes that back."""
    box.write("/etc/v2g-edge/site.d/10-north.toml", '[[feeders]]\nid = "main"\nbase_load_max_w = 11000.0\n')
    assert "feeders.main.base_load_max_w: 10000.0 -> 11000.0" in box.run("v2g-edge", "reload")
    box.write("/etc/v2g-edge/site.d/10-north.toml", '[[feeders]]\nid = "main"\nbase_load_max_w = "x"\n')
    assert box.code("systemctl", "reload", UNIT) != 0
    assert box.journal("-u", UNIT, "EVENT=site_file_refused", "--grep=10-north.toml")
    box.run("rm", "/etc/v2g-edge/site.d/10-north.toml")
    box.run("systemctl", "reload", UNIT)
    return "a drop-in in force, a bad one refused by its name"


def _with_devices(box: Box, *units: str) -> None:
    """The box makes no device nodes, so these units run there with the devices that it has."""
    for unit in units:
        folder = f"/etc/systemd/system/{unit}.service.d"
        lines = "[Service]\\nPrivateDevices=no\\n"
        box.run("sh", "-c", f"mkdir -p {folder}; printf '{lines}' >{folder}/99-box.conf")
    box.run("systemctl", "daemon-reload")


def serves_the_console_and_saves(box: Box) -> str:
    """The console answers on loopback; the ledger is kept; the backup unit writes an archive that can be put
    back.
    """
    _with_devices(box, "v2g-edge-console", "v2g-edge-backup", "v2g-edge-ledger")
    box.run("systemctl", "restart", "v2g-edge-console")
    until(lambda: box.show("ActiveState", "v2g-edge-console.service") == "active", 30)
    code = "import urllib.request as u; print(u.urlopen('http://127.0.0.1:3000/', timeout=20).status)"
    until(lambda: box.run("python3", "-c", code, check=False).strip() == "200", 60)
    box.run("systemctl", "start", "v2g-edge-ledger.service")
    assert box.run("stat", "-c", "%U %a", "/var/lib/v2g-edge/ledger.db").split() == ["v2g-edge", "600"]
    assert box.run("systemctl", "is-enabled", "v2g-edge-ledger.timer").strip() == "enabled"
    box.run("systemctl", "start", "v2g-edge-backup.service")
    (archive,) = box.run("sh", "-c", "ls /var/backups/v2g-edge/*.tar.gz").split()
    assert box.run("systemctl", "is-enabled", "v2g-edge-backup.timer").strip() == "enabled"
    box.run("systemctl", "stop", UNIT)
    box.run("v2g-edge", "restore", archive)
    box.run("systemctl", "start", UNIT)
    assert '"site": "small"' in box.run("v2g-edge", "status", "--json")
    return f"200 from the console, {archive} put back"


def closes_its_units(box: Box) -> str:
    """systemd's own judgement of the live units, and not a word of doubt about any of them."""
    said = box.run(
        "sh", "-c", "systemd-analyze --man=no verify /lib/systemd/system/v2g-edge*.* 2>&1", check=False
    )
    assert not [line for line in said.splitlines() if "v2g-edge" in line], said
    levels = {unit: _exposure(box, unit) for unit in EXPOSURE_TENTHS_MAX}
    over = {unit: level for unit, level in levels.items() if 10 * level > EXPOSURE_TENTHS_MAX[unit]}
    assert over == {}
    return f"verify is silent, exposure {levels[UNIT]}; with the updates {max(levels.values())}"


def _exposure(box: Box, unit: str) -> float:
    """Of a live unit, its drop-ins included."""
    level = box.run("sh", "-c", f"systemd-analyze security --no-pager {unit} | tail -1")
    return float(level.split(":")[1].split()[0])


def hardens(box: Box) -> str:
    """`v2g-edge harden`: the daemon hears the networks that it was told and no other, and still reads its
    meter.
    """
    into = ["nsenter", f"--net=/proc/{box.pid}/ns/net"]
    for address in (CHARGER, STRANGER):
        subprocess.run([*into, "ip", "address", "add", f"{address}/32", "dev", "lo"], check=True)
    assert _dials(box, CHARGER)
    assert _dials(box, STRANGER)
    box.run("v2g-edge", "harden", "--network", f"{CHARGER}/32", "--write")
    box.run("systemctl", "daemon-reload")
    level = _exposure(box, UNIT)
    assert level < EXPOSURE_MAX
    _with_devices(box, "v2g-edge")
    old = box.main_pid()
    box.run("systemctl", "restart", UNIT)
    until(lambda: box.back(old), 30)
    assert _dials(box, CHARGER)
    assert not _dials(box, STRANGER)
    answers = box.journal("-u", UNIT, "EVENT=modbus_device_answers", f"_PID={box.main_pid()}")
    assert answers, "the meter is not read any more"
    old = box.main_pid()
    box.run("sh", "-c", f"rm {HARDENED} && systemctl daemon-reload && systemctl restart {UNIT}")
    until(lambda: box.back(old), 30)
    assert _dials(box, STRANGER)
    return f"heard from {CHARGER}, not from {STRANGER}; exposure {level}"


def _dials(box: Box, source: str) -> bool:
    """Whether the OCPP port takes a connection from this address of the box."""
    code = f"import socket; socket.create_connection(('127.0.0.1', {STATIONS_PORT}), 2, ('{source}', 0))"
    return box.code("python3", "-c", code) == 0


def restarts_after_a_kill(box: Box) -> str:
    """kill -9: the contactors are opened, and another daemon ticks."""
    before = opened(box)
    old = box.signal_main(signal.SIGKILL)
    took_s = until(lambda: box.back(old), 30)
    assert opened(box) > before, "ExecStopPost opened no contactor"
    return f"ticks again {took_s:.2f} s after kill -9, contactor opened"


def restarts_after_a_hang(box: Box) -> str:
    """A daemon that no longer ticks is ended by the watchdog, its contactors are opened, and another one
    starts.
    """
    before = opened(box)
    old = box.signal_main(signal.SIGSTOP)
    took_s = until(lambda: box.back(old), 60)
    assert box.journal("-u", "init.scope", "--grep=Watchdog timeout") or box.journal("--grep=watchdog"), (
        "no watchdog in the log"
    )
    assert opened(box) > before, "no contactor was opened"
    return f"ticks again {took_s:.2f} s after it stopped"


def keeps_the_site_file(box: Box) -> str:
    """An upgrade, the same version again and a downgrade leave every byte of it, and the daemon runs after
    each.
    """
    before = box.run("sha256sum", SITE)
    versions = [
        line.split("|")[1].strip() for line in box.run("apt-cache", "madison", "v2g-edge").splitlines()
    ]
    later = next(version for version in versions if version.startswith(LATER))
    first = min(versions, key=lambda text: text.split(".")[0])
    gaps = []
    for version in (later, later, first):
        old = box.main_pid()
        box.run("apt-get", "install", "-q", "-y", "--reinstall", "--allow-downgrades", f"v2g-edge={version}")
        gaps.append(until(lambda old=old: box.back(old), 30))  # type: ignore[misc]
        assert box.run("sha256sum", SITE) == before
        shown = box.run("v2g-edge", "--version").split()[1]
        assert version.startswith(shown), f"{shown} is running, {version} was installed"
    return "upgrade, reinstall, downgrade"


def _update(box: Box, *words: str) -> tuple[int, str]:
    """Exit code and words of ``v2g-edge update``."""
    out = box.run("sh", "-c", 'v2g-edge update "$@" 2>&1; echo "code $?"', "sh", *words)
    text, _, code = out.rpartition("code ")
    return int(code), text


def _version(box: Box) -> str:
    """Of the daemon that answers."""
    code = "import json; from v2g_edge.cli.client import ask"
    code += "; print(ask('/run/v2g-edge/control.sock', 'health')['version'])"
    return box.run("/opt/v2g-edge/bin/python3", "-c", code).strip()


def falls_back_from_a_bad_version(box: Box) -> str:
    """`v2g-edge update` takes the newest, which never finishes a tick: the version before is back by itself.
    The next update leaves that version out, takes the one before it, and that one stays.
    """
    before, site = _version(box), box.run("sha256sum", SITE)
    code, text = _update(box, "--check")
    assert code == 0
    assert "waits 7.0 days more (ring stable)" in text, text
    box.write("/etc/v2g-edge/update.toml", 'ring = "canary"')
    _with_devices(box, "v2g-edge-update", "v2g-edge-update-trial")
    begun_s = time.monotonic()
    code, text = _update(box)
    back_s = time.monotonic() - begun_s
    assert code == 1, text
    assert "is not taken again by itself" in text, text
    assert back_s < UPDATE_MAX_S
    assert _version(box) == before
    assert box.journal("-u", "v2g-edge-update-trial.service", "-p", "err", f"--grep=back to {before}")
    # The next one as the timer does it, in the sandbox of the units.
    box.run("systemctl", "start", "v2g-edge-update.service")
    assert box.show("Result", "v2g-edge-update.service") == "success"
    assert _version(box) == LATER, box.run("v2g-edge", "update", "--last")
    assert box.run("sha256sum", SITE) == site
    assert box.code("v2g-edge", "update") == 0, "there is nothing newer that may be taken"
    assert box.run("systemctl", "is-enabled", "v2g-edge-update.timer", check=False).strip() == "disabled"
    return f"back at {before} after {back_s:.0f} s; then {LATER} stays"


def updates_from_a_stick(box: Box) -> str:
    """A signed bundle is taken, also as an archive; one with a changed package is not."""
    box.run("sh", "-c", f"mkdir {STICK} && tar -C /srv/shared -cf {STICK}/depot.tar repo")
    forge = f"cp -r /srv/shared/repo {FORGED} && cd {FORGED} && for f in *.deb; do echo >>$f; done"
    box.run("sh", "-c", forge)
    before = _version(box)
    code, text = _update(box, "--from", FORGED, "--to", BROKEN)  # a version that is not kept from before
    assert code == 1, text
    assert "Hash Sum mismatch" in text or "unexpected size" in text, text
    assert _version(box) == before
    other = __version__ if before == LATER else LATER
    code, text = _update(box, "--from", f"{STICK}/depot.tar", "--to", other)
    assert code == 0, text
    assert _version(box) == other
    return f"{other} from a signed archive, a changed package refused"


def rescues_with_a_broken_site_file(box: Box) -> str:
    """Cases B4 and D21: the site file is broken and the contactor stands in a register map of the site's
    own. It is open within 5 s of a kill and of a stop, and only its own coil is written.
    """
    box.run("sh", "-c", f"cp {SITE} /tmp/good; echo '[cloud]\ntelemetry_s = 0.1' >>{SITE}")
    before = opened(box)
    old = box.signal_main(signal.SIGKILL)
    killed_s = until(lambda: opened(box) > before, OPEN_MAX_S)
    until(lambda: box.back(old), 30)  # with the last settings that could be used
    before = opened(box)
    box.run("systemctl", "--no-block", "stop", UNIT)
    stopped_s = until(lambda: opened(box) > before, OPEN_MAX_S)
    until(lambda: box.show("ActiveState") == "inactive", STOP_MAX_S)
    box.run("sh", "-c", f"cat /tmp/good >{SITE}; systemctl start {UNIT}")
    return f"contactor open {killed_s:.2f} s after kill -9, {stopped_s:.2f} s after a stop"


def ends_cleanly(box: Box) -> str:
    """`systemctl stop` is a success within the time that an administrator waits, and leaves no socket
    behind.
    """
    before = opened(box)
    begun_s = time.monotonic()
    box.run("systemctl", "stop", UNIT)
    took_s = time.monotonic() - begun_s
    assert took_s < STOP_MAX_S
    assert opened(box) > before, "a stop opens the contactors"
    assert box.show("Result") == "success"
    assert not box.run("sh", "-c", "ls /run/v2g-edge 2>/dev/null || true").strip()
    return f"{took_s:.2f} s"


def opens_on_failure(box: Box) -> str:
    """A broken site file and nothing that ever ran: no restart, and the failsafe unit runs."""
    box.run(
        "sh", "-c", f"cp {SITE} /tmp/good; echo '[[nonsense]]' >>{SITE}; rm /var/lib/v2g-edge/site.good.json*"
    )
    before = opened(box)
    box.run("systemctl", "start", UNIT, check=False)
    until(lambda: box.show("ActiveState") == "failed", 30)
    until(lambda: bool(box.journal("-u", "v2g-edge-failsafe.service", "--grep=contactor")), 30)
    until(lambda: opened(box) > before, OPEN_MAX_S)
    assert box.show("NRestarts") == "0"
    box.run("sh", "-c", f"cat /tmp/good >{SITE}; systemctl reset-failed; systemctl start {UNIT}")
    return "failed at once, the failsafe unit opened the contactor"


def is_removed_and_purged(box: Box) -> str:
    """Remove keeps the configuration, purge the ledgers; with the question answered yes they go too."""
    box.run("apt-get", "remove", "-q", "-y", "v2g-edge")
    assert box.code("test", "-e", SITE) == 0
    assert box.code("test", "-e", "/opt/v2g-edge") != 0, box.run("find", "/opt/v2g-edge")
    box.run("apt-get", "purge", "-q", "-y", "v2g-edge")
    assert box.code("test", "-e", "/etc/v2g-edge") != 0
    assert box.code("test", "-e", LEDGER) == 0, "purge took the ledgers"
    box.run("apt-get", "install", "-q", "-y", "v2g-edge")
    box.run("sh", "-c", "echo v2g-edge v2g-edge/purge-ledgers boolean true | debconf-set-selections")
    box.run("apt-get", "purge", "-q", "-y", "v2g-edge")
    assert box.code("test", "-e", "/var/lib/v2g-edge") != 0
    return "ledgers kept, then deleted when told"


PROMISES = (
    a_newcomer_charges_by_the_readme,
    is_installed_as_it_should_be,
    refuses_an_unsigned_repository,
    has_its_pages,
    starts,
    logs_fields,
    reads_the_clock,
    knows_roles,
    gives_credentials,
    reloads,
    starts_with_what_last_ran,
    takes_drop_ins,
    serves_the_console_and_saves,
    closes_its_units,
    hardens,
    restarts_after_a_kill,
    restarts_after_a_hang,
    rescues_with_a_broken_site_file,
    keeps_the_site_file,
    falls_back_from_a_bad_version,
    updates_from_a_stick,
    ends_cleanly,
    opens_on_failure,
    is_removed_and_purged,
)
