"""What the program knows of itself and its machine."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from v2g_edge.host import health
from v2g_edge.host.health import BUCKETS_S, FRESH_TICK_S, Health, Histogram, look_at_machine
from v2g_edge.model.event import Event


def test_each_value_counts_in_the_bucket_that_it_fits() -> None:
    histogram = Histogram()
    for value_s in (0.0, BUCKETS_S[0], BUCKETS_S[0] * 1.01, BUCKETS_S[-1] * 2.0):
        histogram.observe(value_s)
    assert histogram.counts[0] == 2
    assert histogram.counts[1] == 1
    assert histogram.counts[-1] == 1
    assert sum(histogram.counts) == 4


def test_it_is_alive_while_ticks_end() -> None:
    watched = Health("1")
    assert not watched.is_alive(0.0)
    watched.record_tick(1.0, 1.5)
    assert watched.is_alive(1.5 + FRESH_TICK_S - 0.1)
    assert not watched.is_alive(1.5 + FRESH_TICK_S)


def test_events_are_counted_by_kind_and_severity() -> None:
    watched = Health("1")
    watched.record_events(
        [Event("a", "trip", "x", "", 0.0), Event("a", "trip", "y", "", 0.0), Event("a", "info", "x", "", 0.0)]
    )
    assert watched.events == {("a", "trip"): 2, ("a", "info"): 1}


def _certificate(ends: datetime) -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "depot")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
    )
    signed = made.not_valid_before(ends - timedelta(days=2)).not_valid_after(ends).sign(key, hashes.SHA256())
    return signed.public_bytes(serialization.Encoding.PEM)


def test_a_look_finds_what_the_machine_has(tmp_path: Path) -> None:
    ends = datetime(2030, 1, 1, tzinfo=UTC)
    good, torn = tmp_path / "good.pem", tmp_path / "torn.pem"
    good.write_bytes(_certificate(ends + timedelta(days=9)) + _certificate(ends))
    torn.write_bytes(good.read_bytes()[:100])
    found = look_at_machine(tmp_path, (str(good), str(torn), str(tmp_path / "missing")))
    assert found.memory_bytes is not None
    assert found.memory_bytes > 1_000_000
    assert found.disk_free_bytes is not None
    assert found.state_bytes == good.stat().st_size + torn.stat().st_size
    assert found.certificates == {str(good): ends.timestamp()}, (
        "the first end of a chain; files that are none are left out"
    )


def test_what_the_machine_cannot_say_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "STATM", tmp_path / "none")
    monkeypatch.setattr(health, "THERMAL", tmp_path / "none")
    found = look_at_machine(tmp_path / "missing", ())
    assert (found.memory_bytes, found.disk_free_bytes, found.state_bytes, found.temperature_c) == (
        None,
        None,
        None,
        None,
    )


def test_the_warmest_zone_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, text in (("thermal_zone0", "41000"), ("thermal_zone1", "66500"), ("thermal_zone2", "off")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "temp").write_text(text)
    monkeypatch.setattr(health, "THERMAL", tmp_path)
    assert look_at_machine(tmp_path, ()).temperature_c == 66.5
