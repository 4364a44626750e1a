"""What a simulated station needs of the OCPP version it speaks: ``version16`` or ``version20``."""

from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol

from sim.stations.outlet import Outlet, Sample
from sim.stations.profiles import ProfileStore
from v2g_edge.field.ocpp.wire.messages import Version

if TYPE_CHECKING:
    from sim.stations.firmware import Firmware
    from sim.stations.keyring import Keyring
    from sim.stations.station21 import Station21

Message = tuple[str, dict[str, Any]]
Alone = Literal["", "currents", "registers", "vehicle"]


class Shown(NamedTuple):
    """What the meter shows at the moment of telling; ``with_soc`` false: the vehicle does not say its charge.

    ``only``: a 1.6 station that reports nothing but its currents and voltages, its import register, or what
    the vehicle says of its pack.
    """

    wall_s: float
    sample: Sample
    with_soc: bool
    only: Alone = ""


class StationContext(Protocol):
    """What a voice needs of its station."""

    version: Version
    outlets: dict[int, Outlet]
    profiles: ProfileStore
    variables: dict[tuple[str, str], str]
    firmware: "Firmware"
    identity: str
    keyring: "Keyring"
    bidi: "Station21"

    def wall_s(self) -> float:
        """The station's wall time."""

    def later(self, message: Message) -> None:
        """Say something of its own accord after the answer."""

    def ignores_profiles(self) -> bool:
        """Accepts and does not obey."""

    def rejects_profiles(self, least_w: float = 0.0) -> bool:
        """Refuses every profile, or each whose least limit is below 0."""

    def reboot(self) -> None:
        """Restart, soon."""

    def redial(self) -> None:
        """Drop the link, soon, and dial in again."""


class StationVersion(Protocol):
    """Payloads only: no socket and no timers. The keys name the variables that hold intervals in s."""

    heartbeat_key: tuple[str, str]
    report_key: tuple[str, str]
    kept: frozenset[str]
    """Actions that are kept for later while there is no link."""

    def transaction(self, identity: str, count: int) -> str:
        """The id of the ``count``-th transaction; "" where the central system gives it."""

    def boot(self, identity: str, reason: str, firmware: str) -> Message:
        """BootNotification."""

    def heartbeat(self) -> Message:
        """Heartbeat."""

    def status(self, outlet: Outlet, wall_s: float) -> Message:
        """StatusNotification."""

    def began(self, outlet: Outlet, shown: Shown) -> list[Message]:
        """A vehicle was plugged in."""

    def start(self, outlet: Outlet) -> Message:
        """Ask for the transaction again, where the central system gives its id."""

    def reported(self, outlet: Outlet, shown: Shown) -> list[Message]:
        """The meter, as often as was asked for."""

    def ended(self, outlet: Outlet, shown: Shown, *, power_loss: bool) -> list[Message]:
        """The transaction is over: the vehicle left, or (``power_loss``) the station lost its supply."""

    def temperature(self, outlet: Outlet, shown: Shown, seq: int) -> list[Message]:
        """The pack's temperature, where it is not among the meter values."""

    def caught_up(self, message: Message) -> Message:
        """A kept message as it is sent after the outage."""

    def answer(self, owner: StationContext, action: str, payload: dict[str, Any]) -> dict[str, Any] | None:
        """The answer to a call, its effect done; None for an action that this station does not support."""
