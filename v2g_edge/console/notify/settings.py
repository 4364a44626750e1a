"""The notifier's own file: where alarms go, when they wait, and which MQTT broker Home Assistant uses."""

import re
import tomllib
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta, Struct

CLOCK: Final = re.compile(r"^([01]\d|2[0-3]):[0-5]\d$")
FILE_MAX_BYTES: Final = 64 << 10
Port = Annotated[int, Meta(ge=1, le=65_535)]
Address = Annotated[str, Meta(min_length=3, max_length=254, pattern=r"^[^@\s<>,;]+@[^@\s<>,;]+$")]
Text = Annotated[str, Meta(min_length=1, max_length=2_000)]
Severity = Literal["warning", "alarm", "trip"]


class SettingsError(Exception):
    """The file cannot be used; the message names the key, what was found and what is allowed."""


class Mail(Struct, forbid_unknown_fields=True, frozen=True):
    """One SMTP server.

    Attributes:
        host: Its name or address.
        port: 587 for STARTTLS, 465 for TLS.
        security: How the connection is protected; "none" is for a relay on this machine.
        user: Name to log in with; "" logs in with none.
        password_file: A file with the password, readable by the notifier alone.
        ca_file: The authority of its certificate; "" takes the system's.
        sender: The address in From.
        to: Who gets alarms.
        escalate_to: Who gets what still needs a person after ``escalate_after_s``.
    """

    host: Text
    sender: Address
    to: Annotated[list[Address], Meta(min_length=1, max_length=50)]
    port: Port = 587
    security: Literal["starttls", "tls", "none"] = "starttls"
    user: str = ""
    password_file: str = ""
    ca_file: str = ""
    escalate_to: Annotated[list[Address], Meta(max_length=50)] = []


class Webhook(Struct, forbid_unknown_fields=True, frozen=True):
    """An address that takes alarms as JSON by POST.

    Attributes:
        url: https, or http on this machine alone.
        secret_file: A file with the key of the signature in X-V2G-Signature (HMAC-SHA256 of the body);
            "" signs nothing.
    """

    url: Annotated[
        str, Meta(pattern=r"^https://|^http://(localhost|127\.0\.0\.1|\[::1\])[:/]", max_length=500)
    ]
    secret_file: str = ""


class HomeAssistant(Struct, forbid_unknown_fields=True, frozen=True):
    """The MQTT broker that Home Assistant uses.

    Attributes:
        host: Its name or address.
        port: 8883 with TLS, 1883 without.
        tls: Without TLS only a broker on this machine is used.
        ca_file: The authority of its certificate; "" takes the system's.
        user: Name to log in with; "" logs in with none.
        password_file: A file with the password.
        prefix: The discovery prefix of Home Assistant.
        orders: Offer stop, hold and release as buttons.
    """

    host: Text
    port: Port = 8883
    tls: bool = True
    ca_file: str = ""
    user: str = ""
    password_file: str = ""
    prefix: Annotated[str, Meta(pattern=r"^[A-Za-z0-9_/-]+$", max_length=60)] = "homeassistant"
    orders: bool = False


class Quiet(Struct, forbid_unknown_fields=True, frozen=True):
    """Hours of the site's time in which only ``severities`` go out at once; the rest goes when they end."""

    start: str = ""
    end: str = ""
    severities: tuple[Severity, ...] = ("trip",)


class Settings(Struct, forbid_unknown_fields=True, frozen=True):
    """The whole file.

    Attributes:
        severities: Events of these go out.
        gather_s: Events that come within this go out together.
        most_per_hour: Messages an hour to one place; what is more waits and is counted.
        escalate_after_s: Age at which a need of a person goes out once more, to ``mail.escalate_to``.
        mail: The way out by mail; None where it is not wanted.
        webhook: The way out by webhook.
        home_assistant: The depot as entities of Home Assistant.
        quiet: Quiet hours.
    """

    severities: tuple[Severity, ...] = ("alarm", "trip")
    gather_s: Annotated[float, Meta(ge=0.0, le=600.0)] = 20.0
    most_per_hour: Annotated[int, Meta(ge=1, le=1_000)] = 12
    escalate_after_s: Annotated[float, Meta(ge=60.0, le=86_400.0)] = 1_800.0
    mail: Mail | None = None
    webhook: Webhook | None = None
    home_assistant: HomeAssistant | None = None
    quiet: Quiet = Quiet()


def load(path: Path) -> Settings:
    """Read the file. Raises ``SettingsError``."""
    try:
        with path.open("rb") as file:
            raw = file.read(FILE_MAX_BYTES + 1)
        if len(raw) > FILE_MAX_BYTES:
            raise SettingsError(
                f"{path}: found more than {FILE_MAX_BYTES} octets; is this the notifier's file?"
            )
        found: dict[str, Any] = tomllib.loads(raw.decode("utf-8-sig"))
    except OSError as error:
        raise SettingsError(
            f"{path}: {error.strerror or error}; give the right path with --config"
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise SettingsError(f"{path}: {error}; it is TOML in UTF-8") from error
    try:
        settings = msgspec.convert(found, Settings)
    except msgspec.ValidationError as error:
        raise SettingsError(f"{path}: {error}; see docs/console.md, Alarms") from error
    _check(path, settings)
    return settings


def _check(path: Path, settings: Settings) -> None:
    quiet = settings.quiet
    for key, value in (("start", quiet.start), ("end", quiet.end)):
        if value and not CLOCK.match(value):
            raise SettingsError(f'{path}: quiet.{key}: found "{value}"; allowed: a time like "22:00"')
    if bool(quiet.start) != bool(quiet.end):
        raise SettingsError(f"{path}: quiet: found only one of start and end; give both, or none")
    if settings.mail is None and settings.webhook is None and settings.home_assistant is None:
        raise SettingsError(f"{path}: found no [mail], [webhook] or [home_assistant]; nothing would go out")
    mail, broker = settings.mail, settings.home_assistant
    here = {"localhost", "127.0.0.1", "::1"}
    if mail is not None and mail.security == "none" and mail.host not in here:
        raise SettingsError(
            f'{path}: mail.security "none" goes to this machine alone; use "starttls" or "tls"'
        )
    if broker is not None and not broker.tls and broker.host not in here:
        raise SettingsError(f"{path}: home_assistant.tls false goes to this machine alone; set tls = true")


def secret(file: str) -> str:
    """The content of a file with a secret; "" for none. Raises ``SettingsError``."""
    if not file:
        return ""
    try:
        return Path(file).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{file}: {error}; it must be readable by the notifier's user") from error
