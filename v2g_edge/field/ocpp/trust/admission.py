"""Who may come in: the station must be known, and prove it as the listener's security profile asks.

Profiles as in the OCPP 1.6 Security Whitepaper ed. 2 and OCPP 2.x part 2 A: 0 nothing; 1 Basic; 2 TLS with
Basic; 3 mutual TLS, the certificate's common name being the station's identity. A listener has one profile;
no message can lower it.
"""

import base64
import binascii
import hmac
import http
import ssl
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, Final, NamedTuple
from urllib.parse import unquote

from v2g_edge.field.ocpp.trust.passwords import Passwords
from v2g_edge.model.settings import Listener, StationSettings
from v2g_edge.networks import network_of

FAILURES_MAX: Final = 5
LOCKED_S: Final = 60.0
"""After so many wrong passwords in a row from one address for one station, further wrong ones are answered
429 for so long. The right one comes in all the while: whoever shares a station's address could lock it out
otherwise. Guessing is held down by the rate at which an address may dial (``connection_limits``), and by
passwords of 128 bits.
"""

REMEMBERED_MAX: Final = 1_024
"""Pairs of address and station remembered; the oldest is forgotten first."""


class Refusal(NamedTuple):
    """Why a connection is turned away: HTTP status, and the reason for the log. The station gets the
    status only.
    """

    status: http.HTTPStatus
    why: str


class Shown(NamedTuple):
    """How a station came in: the listener's profile and, with profile 3, its certificate's serial number and
    end.

    It belongs to the connection that showed it: another dial under the same name changes nothing of it.
    """

    profile: int = 0
    serial: int = -1
    expires_wall_s: float = 0.0


class Admitted(NamedTuple):
    """Who comes in, and what it showed."""

    identity: str
    shown: Shown


class Admission:
    """Decides over opening handshakes. Passwords are read when they are needed, so that a changed file
    counts at once.
    """

    def __init__(self, stations: Mapping[str, StationSettings], passwords: Passwords | None = None) -> None:
        self.passwords = Passwords(None) if passwords is None else passwords
        self._stations = stations
        self._failures: OrderedDict[tuple[str, str], tuple[int, float]] = OrderedDict()

    def judge(
        self,
        listener: Listener,
        path: str,
        authorization: str,
        peer: str,
        certificate: Mapping[str, Any] | None,
        now_s: float,
    ) -> Admitted | Refusal:
        """The station and what it showed, or why it may not come in."""
        identity = identity_of(path)
        station = self._stations.get(identity)
        if station is None:
            return Refusal(http.HTTPStatus.NOT_FOUND, f"no station {identity[:60]!r} in the site file")
        refusal = self._refusal(listener, station, authorization, certificate)
        if refusal is None:
            self._failures.pop((network_of(peer), identity), None)
            return Admitted(identity, _shown(listener, certificate))
        # A dial at the wrong door is no guess: only a wrong password counts.
        return (
            self._counted(refusal, peer, identity, now_s)
            if refusal.status is http.HTTPStatus.UNAUTHORIZED
            else refusal
        )

    def _counted(self, refusal: Refusal, peer: str, identity: str, now_s: float) -> Refusal:
        """One more wrong password."""
        peer = network_of(peer)
        count, since_s = self._failures.get((peer, identity), (0, now_s))
        if count >= FAILURES_MAX and now_s - since_s < LOCKED_S:
            return Refusal(
                http.HTTPStatus.TOO_MANY_REQUESTS, f"{count} wrong passwords for {identity} from {peer}"
            )
        self._failures[peer, identity] = (1 if count >= FAILURES_MAX else count + 1, now_s)
        self._failures.move_to_end((peer, identity))
        if len(self._failures) > REMEMBERED_MAX:
            self._failures.popitem(last=False)
        return refusal

    def _refusal(
        self,
        listener: Listener,
        station: StationSettings,
        authorization: str,
        certificate: Mapping[str, Any] | None,
    ) -> Refusal | None:
        identity, profile = station.identity, listener.security_profile
        if profile < station.least_security_profile:
            why = (
                f"{identity} must use security profile {station.least_security_profile} or higher; this"
                f" listener has {profile}"
            )
            return Refusal(http.HTTPStatus.FORBIDDEN, why)
        if profile in (1, 2) and not self._knows_password(station, authorization):
            return Refusal(http.HTTPStatus.UNAUTHORIZED, f"wrong or no Basic credentials for {identity}")
        if profile == 3 and identity not in _names(certificate):
            names = ", ".join(sorted(_names(certificate))) or "nobody"
            return Refusal(
                http.HTTPStatus.FORBIDDEN, f"the client certificate is for {names}, not {identity}"
            )
        return None

    def _knows_password(self, station: StationSettings, authorization: str) -> bool:
        kind, _, coded = authorization.partition(" ")
        if kind.lower() != "basic" or not station.password_file:
            return False
        try:
            user, _, password = base64.b64decode(coded, validate=True).partition(b":")
        except binascii.Error:
            return False
        return hmac.compare_digest(user, station.identity.encode()) and self.passwords.fits(station, password)


def identity_of(path: str) -> str:
    """The last part of the URL path, percent-decoded (OCPP-J 3.1.1)."""
    return unquote(path.partition("?")[0].rstrip("/").rpartition("/")[2])


def _names(certificate: Mapping[str, Any] | None) -> set[str]:
    """Common name and DNS names of a client certificate as ``ssl`` describes it."""
    if not certificate:
        return set()
    names = {value for part in certificate.get("subject", ()) for key, value in part if key == "commonName"}
    return names | {value for kind, value in certificate.get("subjectAltName", ()) if kind == "DNS"}


def _shown(listener: Listener, certificate: Mapping[str, Any] | None) -> Shown:
    if listener.security_profile < 3 or not certificate:
        return Shown(listener.security_profile)
    return Shown(
        3, int(certificate["serialNumber"], 16), float(ssl.cert_time_to_seconds(certificate["notAfter"]))
    )
