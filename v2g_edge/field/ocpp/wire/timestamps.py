"""Times on the wire: RFC 3339 text to UTC epoch seconds and back."""

from datetime import UTC, datetime


def parse_wall(text: object) -> float | None:
    """UTC epoch seconds of an RFC 3339 time; None when it is none. Without an offset it counts as UTC (OCPP
    1.6 3.14).

    T and Z may be small (RFC 3339 5.6).
    """
    if not isinstance(text, str):
        return None
    try:
        at = datetime.fromisoformat(text.upper())
    except ValueError:
        return None
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()


def format_wall(wall_s: float) -> str:
    """RFC 3339 with milliseconds and Z, the form that every station seen can read."""
    return datetime.fromtimestamp(wall_s, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
