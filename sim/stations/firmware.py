"""How a simulated station updates its firmware: downloads, checks, installs when it is idle, and restarts
with another version.

The version is the last number of the file's name: ``https://files/simbidi-2.0.bin`` is 2.0.
"""

import re
from dataclasses import dataclass
from typing import Any, Final

from sim.stations.version import Message
from v2g_edge.field.ocpp.wire.messages import Version

DOWNLOAD_S: Final = 20.0
INSTALL_S: Final = 30.0
"""Minutes in the field; here long enough to see every step."""

FIRST_VERSION: Final = "1.0"


@dataclass
class Firmware:
    """``version`` is what BootNotification says. ``status`` is the last that was reported, "" before the
    first update.
    """

    version: str = FIRST_VERSION
    status: str = ""
    _wanted: str = ""
    _request: int | None = None
    _signed: bool = False
    _next_wall_s: float = 0.0

    def ask(self, firmware: dict[str, Any], wall_s: float, request: int | None) -> None:
        """An update is wanted; ``firmware`` as in 2.x and in signed 1.6. A newer request replaces an older
        one.
        """
        names = re.findall(r"\d+(?:\.\d+)*", firmware["location"].rpartition("/")[2])
        self._wanted, self._request, self._signed = (
            names[-1] if names else "unknown",
            request,
            "signature" in firmware,
        )
        self.status, self._next_wall_s = "", wall_s

    @property
    def is_wanted(self) -> bool:
        """Whether an update was asked for and is not over: nothing happens without one."""
        return bool(self._wanted)

    def step(self, wall_s: float, *, idle: bool, fails: bool) -> str:
        """The status that it reaches now, "" while nothing changes. ``idle``: no vehicle stands at it."""
        if not self._wanted or wall_s < self._next_wall_s or (self.status == "Downloaded" and not idle):
            return ""
        if self.status == "Installed":
            self.version, self._wanted = self._wanted, ""
            return ""
        checked = "SignatureVerified" if self._signed else "Installing"
        after = {
            "": "Downloading",
            "Downloading": "Downloaded",
            "Downloaded": checked,
            "SignatureVerified": "Installing",
        }
        self.status = after.get(self.status, "InstallationFailed" if fails else "Installed")
        self._next_wall_s = wall_s + {"Downloading": DOWNLOAD_S, "Installing": INSTALL_S}.get(
            self.status, 1.0
        )
        if self.status == "InstallationFailed":
            self._wanted = ""
        return self.status

    def told(self, version: Version, status: str = "") -> Message:
        """The message of a status; without one, how far it is."""
        status = status or (self.status if self._wanted else "Idle")
        numbered: dict[str, Any] = (
            {} if self._request is None or status == "Idle" else {"requestId": self._request}
        )
        action = (
            "SignedFirmwareStatusNotification"
            if version == "1.6" and self._signed
            else "FirmwareStatusNotification"
        )
        return action, {"status": status, **(numbered if version != "1.6" or self._signed else {})}
