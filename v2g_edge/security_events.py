"""Security events: which lines of the log are some, how many there were, and how long each took to be told.

The kinds follow IEC 62443-4-2 (CR 2.8 auditable events, CR 6.2 continuous monitoring). The time to detect is
what passes between an act and its line: 0 where the line is written in the act, the field ``after_s`` of the
line where acts are counted for a while before one line tells them.
"""

from collections import Counter
from typing import Final, Literal

from structlog.typing import EventDict

Category = Literal["access", "request", "session", "configuration", "flood"]

SECURITY_EVENTS: Final[dict[str, Category]] = {
    "station_refused": "access",
    "station_handshake_wrong": "access",
    "vdv463_refused": "access",
    "console_login": "access",
    "console_login_refused": "access",
    "console_claimed": "access",
    "station_certificate_revoked": "access",
    "station_certificates_stand": "access",
    "certificate_check_failed": "access",
    "ocsp_failed": "access",
    "certificate_request_refused": "request",
    "station_payload_odd": "request",
    "station_frame_odd": "request",
    "station_message_too_large": "request",
    "station_sent_binary": "request",
    "vdv463_bad_frame": "request",
    "cloud_plan_refused": "request",
    "station_link_taken_over": "session",
    "station_does_not_read": "session",
    "station_talks_nonsense": "session",
    "connections_turned_away": "flood",
    "log_lines_left_out": "flood",
    "discharge_makes_too_many": "flood",
    "listener_files_refused": "configuration",
    "listener_file_runs_out": "configuration",
    "console_account": "configuration",
    "console_account_ended": "configuration",
    "console_token": "configuration",
    "console_token_ended": "configuration",
}
"""Line of the log → its kind. ``docs/security.md`` says of each what it means."""


class SecurityEvents:
    """A processor of structlog that counts, and changes nothing. It stands before the limit of the log, so
    that what is left out there counts here.
    """

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.slowest_s: dict[str, float] = {}

    def __call__(self, _logger: object, _method: str, entry: EventDict) -> EventDict:
        """Count the line if it is a security event."""
        name = str(entry.get("event", ""))
        if name in SECURITY_EVENTS:
            after_s = entry.get("after_s", 0.0)
            self.counts[name] += 1
            self.slowest_s[name] = max(self.slowest_s.get(name, 0.0), float(after_s))
        return entry


SEEN: Final = SecurityEvents()
"""Of this process: its log is one, too."""
