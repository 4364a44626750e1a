"""SignCertificate: a station's signing requests (CSR) to the site's authority, how many, and what it gets."""

from collections import deque
from typing import Final

import structlog

from v2g_edge.field.ocpp.trust.pki import SiteCa
from v2g_edge.model.ports import ClockPort

log = structlog.get_logger()

SIGNED_MAX: Final = 24
SIGNED_S: Final = 86_400.0
"""Certificates that one station is given in so long: each is a file of the authority's, for good. One a
year is needed; a station that was not answered asks again (2.x CertSigningRepeatTimes).
"""

REFUSED_MAX: Final = 24
REFUSED_S: Final = 3_600.0
"""Requests for certificates that do not fit, of one station in so long: beyond them none is looked at for
an hour.
"""


class SigningRequests:
    """``authority`` None: nothing is signed. ``encrypted``: its link stands over TLS. ``signed``: the chain
    that waits to be sent.
    """

    def __init__(self, identity: str, clock: ClockPort) -> None:
        self._identity = identity
        self._clock = clock
        self.authority: SiteCa | None = None
        self.encrypted = False
        self.signed = ""
        self._signed_s: deque[float] = deque(maxlen=SIGNED_MAX)
        self._refused_s: deque[float] = deque(maxlen=REFUSED_MAX)

    def take(self, csr_pem: str) -> bool:
        """A request for a certificate. The chain waits in ``signed`` until it is sent. Refused over a link
        without TLS.
        """
        if self.authority is None or not self.encrypted:
            log.warning(
                "certificate_request_refused",
                station=self._identity,
                why="no site authority, or no TLS",
            )
            return False
        now_s = self._clock.now_s()
        if len(self._signed_s) == SIGNED_MAX and now_s - self._signed_s[0] < SIGNED_S:
            log.warning(
                "certificate_request_refused",
                station=self._identity,
                why=f"{SIGNED_MAX} were given within a day",
            )
            return False
        if len(self._refused_s) == REFUSED_MAX and now_s - self._refused_s[0] < REFUSED_S:
            return False
        try:
            self.signed = self.authority.sign_request(csr_pem, self._identity, self._clock.wall_s())
        except (OSError, ValueError) as fault:
            log.warning("certificate_request_refused", station=self._identity, why=str(fault)[:200])
            self._refused_s.append(now_s)
            return False
        self._signed_s.append(now_s)
        return True
