"""What must fit together for external systems: upstream central systems, OpenADR, telematics."""

from collections import Counter
from collections.abc import Iterator

from v2g_edge.config.layout import SiteFile
from v2g_edge.config.problems import Problem
from v2g_edge.config.references import twice, unknown
from v2g_edge.model.settings import OpenAdrSettings, TelematicsSettings, UpstreamSettings

SIMPLE_LEVELS = 3


def check_external_systems(plan: SiteFile, file: str) -> Iterator[Problem]:
    """Every name that does not exist, every station with two masters, every file that is missing its pair."""
    yield from twice("upstreams", (each.id for each in plan.upstreams), file)
    stations = {station.identity for station in plan.stations}
    for upstream in plan.upstreams:
        path = f"upstreams.{upstream.id}"
        for station in upstream.stations:
            yield from unknown(f"{path}.stations", station, stations, "a station of stations", file)
        yield from _files(upstream, path, file)
    named = Counter(
        station
        for upstream in plan.upstreams
        if upstream.role == "primary"
        for station in set(upstream.stations or sorted(stations))
    )
    for station, times in sorted(named.items()):
        if times > 1:
            found = f"{times} upstreams whose answers count"
            mend = 'Write role = "copy" in the others, or name it in one: one that names none has all.'
            yield Problem(file, f"upstreams.stations.{station}", found, "one primary a station", mend)
    yield from _openadr(plan.openadr, file)
    yield from _telematics(plan.telematics, file)


def _telematics(settings: TelematicsSettings, file: str) -> Iterator[Problem]:
    if settings.port and not settings.token_file:
        allowed = "a file with the bearer token of the senders"
        yield Problem(file, "telematics.token_file", "nothing", allowed, "Add the key.")
    if bool(settings.certificate_file) != bool(settings.key_file):
        allowed = "certificate_file and key_file together, or neither"
        yield Problem(file, "telematics", "one of them", allowed, "Add the other, or remove it.")


def _openadr(settings: OpenAdrSettings, file: str) -> Iterator[Problem]:
    if settings.client_id and not settings.client_secret_file:
        allowed = "a file with the secret that belongs to client_id"
        yield Problem(file, "openadr.client_secret_file", "nothing", allowed, "Add the key.")
    if settings.client_id and settings.url.startswith("http:"):
        mend = "Write https://, or take client_id away."
        yield Problem(file, "openadr.url", f'"{settings.url}"', "https:// where a secret is sent", mend)
    if len(settings.simple_import_w) > SIMPLE_LEVELS:
        found, mend = f"{len(settings.simple_import_w)} numbers", "Give one for each of the levels 1, 2, 3."
        yield Problem(file, "openadr.simple_import_w", found, f"at most {SIMPLE_LEVELS}", mend)


def _files(upstream: UpstreamSettings, path: str, file: str) -> Iterator[Problem]:
    if bool(upstream.certificate_file) != bool(upstream.key_file):
        allowed = "certificate_file and key_file together, or neither"
        yield Problem(file, path, "one of them", allowed, "Add the other, or remove it.")
    if upstream.url.startswith("ws:") and (upstream.certificate_file or upstream.ca_file):
        mend = "Write wss://, or remove the files."
        yield Problem(file, f"{path}.url", f'"{upstream.url}"', "wss:// where TLS files are given", mend)
