"""`v2g-edge check`."""

import json
import shutil
import socket
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from tests.cli.conftest import daemon
from tests.config.mistakes import BASE
from v2g_edge.cli.checking.files import file_problems
from v2g_edge.cli.main import main
from v2g_edge.host.clock import SystemClock


def test_the_example_has_no_problem(capsys: pytest.CaptureFixture[str]) -> None:
    """What people copy can be started; its secrets and serial ports are on another machine."""
    assert main(["check", "--elsewhere", "--strict", "etc/site.example.toml"]) == 0
    assert "no problem" in capsys.readouterr().out


def test_one_report_with_every_problem(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit 2; an unknown key, a negative limit, a text for a number and a map that does not exist in one
    go, with lines.
    """
    text = (
        site.read_text()
        .replace("export_limit_w = 90000.0", "export_limit_w = -5.0")
        .replace("unit = 2", "units = 2")
    )
    site.write_text(text.replace("nominal_v = 230.0", 'nominal_v = "230"').replace('"quasar1"', '"Quasar1"'))
    assert main(["check", str(site)]) == 2
    report = capsys.readouterr().out
    assert "4 problems" in report
    for word in (
        "feeders.hall.export_limit_w",
        "devices.relay.units",
        "Did you mean unit?",
        "line 10  grid.nominal_v",
    ):
        assert word in report
    assert 'Did you mean "quasar1"?' in report


def test_a_report_fits_a_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """80 columns, whatever is wrong; one cause in many vehicles is one paragraph."""
    path = tmp_path / "site.toml"
    path.write_text(
        BASE.replace("target_soc_pct = 80.0", "target_soc_pct = 0.8").replace('type = "van"', 'type = "bus"')
    )
    assert main(["check", "--elsewhere", str(path)]) == 2
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines[1:])) <= 80
    assert sum("vehicles.VAN-01.type" in line for line in lines) == 1
    assert any("also" in line and "VAN-02 (line 125)" in line for line in lines)


def test_the_site_ends_in_words(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Feeders in kW and A, who leaves when with what, what happens without the link, when there is export."""
    path = tmp_path / "site.toml"
    path.write_text(BASE)
    assert main(["check", "--elsewhere", str(path)]) == 0
    words = " ".join(capsys.readouterr().out.split())
    for part in (
        "main: 120 kW in (174 A a phase) and 200 A measured, 60 kW out, meter grid",
        "VAN-02, VAN-03, VAN-04 every day at 06:00 with 80 %; 2 may give",
        "after 30 s each outlet draws its fallback, 12.1 kW together",
        "while relay is closed and grid is healthy by vde_ar_n_4105_2018",
    ):
        assert part in words


def test_as_json_each_problem_has_all_fields(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """For editors and for deployment."""
    site.write_text(site.read_text().replace("nominal_v = 230.0", "nominal_v = 400.0"))
    main(["check", "--json", str(site)])
    found = json.loads(capsys.readouterr().out)
    assert {"file", "key", "found", "allowed", "mend", "level", "line"} == set(found[0])
    assert ("warning", 10) in {
        (each["level"], each["line"]) for each in found if each["key"] == "grid.nominal_v"
    }


@pytest.mark.parametrize(
    "content", [b"", b"\x00\xff\xfe", b"[[[", b"site = 3", b"a" * 5_000_000, "ﬀ = [".encode()]
)
def test_no_content_ends_in_a_traceback(
    tmp_path: Path, content: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever is given as a site file."""
    path = tmp_path / "site.toml"
    path.write_bytes(content)
    assert main(["check", str(path)]) == 2
    assert "problem" in capsys.readouterr().out


def test_a_folder_or_nothing_is_no_site_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Named as such."""
    assert main(["check", str(tmp_path)]) == 2
    assert main(["check", str(tmp_path / "none.toml")]) == 2
    assert "Give the right path." in capsys.readouterr().out


def test_a_register_map_that_is_not_there_is_a_problem(
    site: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Found before anything is started."""
    site.write_text(site.read_text().replace('map = "quasar1"', 'map = "quasar9"'))
    assert main(["check", str(site)]) == 2
    assert "quasar9" in capsys.readouterr().out
    assert main(["run", "--config", str(site)]) == 2


def test_a_map_of_the_sites_own_is_found_below_its_state_folder(site: Path, tmp_path: Path) -> None:
    """A charger of an unknown make needs a file, not a release."""
    site.write_text(site.read_text().replace('map = "quasar1"', 'map = "ours"'))
    assert main(["check", str(site)]) == 2
    maps = tmp_path / "state" / "maps"
    maps.mkdir(parents=True)
    shutil.copy("v2g_edge/field/modbus/maps/quasar1.toml", maps / "ours.toml")
    assert main(["check", str(site)]) == 0


def test_a_price_file_that_cannot_be_used_is_reported_line_by_line_with_1(
    site: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The daemon would start without a plan of its own: not what whoever set the key had in mind."""
    prices = tmp_path / "prices.csv"
    prices.write_text("hour,EUR/MWh\n2026-01-01 00:00:00,ten\n")
    site.write_text(site.read_text() + f'\n[prices]\nfile = "{prices}"\nwear_per_kwh = 0.05\n')
    assert main(["check", str(site)]) == 1
    report = " ".join(capsys.readouterr().out.split())
    assert f"{prices}:2: expected" in report
    assert "no problem" not in report


def test_prices_of_another_year_are_a_warning(
    site: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """They are read, and nothing is planned with them."""
    prices = tmp_path / "prices.csv"
    prices.write_text("hour,EUR/MWh\n2021-01-01 00:00:00,10\n")
    site.write_text(site.read_text() + f'\n[prices]\nfile = "{prices}"\nwear_per_kwh = 0.05\n')
    assert main(["check", str(site)]) == 0
    assert "prices of 2021-01-01 to 2021-01-01" in capsys.readouterr().out


def test_a_port_in_use_is_found_before_the_start(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """By another program than our own daemon."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        site.write_text(site.read_text().replace("[[listeners]]\nport = 0", f"[[listeners]]\nport = {port}"))
        assert main(["check", str(site)]) == 1
    assert f"{port}: in use" in capsys.readouterr().out
    site.write_text(site.read_text().replace(f"port = {port}", f'port = {port}\nhost = "203.0.113.7"'))
    assert main(["check", str(site)]) == 1
    assert "not an address of this machine" in capsys.readouterr().out


def test_a_state_folder_that_is_a_file_is_found(
    site: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before a start that would set everything aside."""
    (tmp_path / "state").write_text("x")
    assert main(["check", str(site)]) == 1
    assert "host.state_dir" in capsys.readouterr().out


def _certificate(folder: Path, name: str, from_days: float, to_days: float) -> tuple[Path, Path]:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.fromtimestamp(SystemClock().wall_s(), tz=UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now + timedelta(days=from_days))
        .not_valid_after(now + timedelta(days=to_days))
        .sign(key, hashes.SHA256())
    )
    certificate, secret = folder / f"{name}.pem", folder / f"{name}.key"
    certificate.write_bytes(made.public_bytes(Encoding.PEM))
    secret.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return certificate, secret


def _found(listener: dict[str, object]) -> str:
    document = {"listeners": [{"security_profile": 2, **listener}]}
    return "\n".join(map(str, file_problems(document, "site.toml", SystemClock().wall_s())))


def test_certificates_are_looked_at_with_their_keys_and_dates(tmp_path: Path) -> None:
    """Missing, ended, not begun, ending soon, of another key, no certificate at all."""
    good, key = _certificate(tmp_path, "good", -1, 365)
    old, old_key = _certificate(tmp_path, "old", -20, -10)
    early, early_key = _certificate(tmp_path, "early", 10, 20)
    soon, soon_key = _certificate(tmp_path, "soon", -20, 10)
    for names, keys, word in (
        (good, key, ""),
        (tmp_path / "none.pem", key, "there is no such file"),
        (old, old_key, "ended on"),
        (early, early_key, "Is the clock of this machine right?"),
        (soon, soon_key, "ends on"),
        (good, old_key, "not the key of"),
        (key, key, "no certificate"),
        (good, good, "no private key"),
    ):
        found = _found({"certificate_files": [str(names)], "key_files": [str(keys)]})
        assert (word in found) if word else not found


def test_secrets_are_looked_at(tmp_path: Path) -> None:
    """Missing, too short, open to everybody, and the folder that the service cannot read."""

    def found(path: str) -> str:
        document = {"stations": [{"identity": "CP", "password_file": path}]}
        return "\n".join(map(str, file_problems(document, "site.toml", 0.0)))

    secret = tmp_path / "CP"
    assert "there is no such file" in found(str(secret))
    secret.write_text("short\n")
    secret.chmod(0o600)
    assert "5 characters" in found(str(secret))
    secret.write_text("long enough for OCPP\n")
    assert not found(str(secret))
    secret.chmod(0o644)
    assert "chmod o-rwx" in found(str(secret))
    assert "secrets_NAME" in found("/etc/v2g-edge/secrets/CP")


def test_warnings_are_logged_at_every_start(site: Path) -> None:
    """Where people look when something is odd; the site of these tests listens without a password."""
    with daemon(site, "--log", "console") as process:
        process.terminate()
        _, log = process.communicate(timeout=30)
    assert "site_file_odd" in log
    assert "security_profile" in log


TARIFF = """
[[time_of_use]]
id = "night"
when = ["Mo-Su 22:00-06:00"]
per_kwh = 0.12

[[time_of_use]]
id = "day"
when = ["Mo-Su 06:00-22:00"]
per_kwh = 0.31
"""


@pytest.mark.parametrize(
    ("template", "more", "said"),
    [
        ("mixed", "", "none: charges as soon as it can, and nothing asks a vehicle to give"),
        ("vans", "", "none: charges as soon as it can"),
        ("mixed", TARIFF, "by time of use: night, day"),
    ],
)
def test_prices_in_words_say_what_follows_from_them(
    template: str, more: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A site whose vehicles may give, and which nothing ever asks, is not what its author had in mind."""
    path = tmp_path / "site.toml"
    assert main(["init", "--template", template, str(path)]) == 0
    path.write_text(path.read_text() + more)
    capsys.readouterr()
    assert main(["check", "--elsewhere", str(path)]) == 0
    words = " ".join(capsys.readouterr().out.split())
    assert f"prices {said} cloud" in words
