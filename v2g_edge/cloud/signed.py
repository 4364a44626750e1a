"""Signed plans: a compact JWS (RFC 7515) with an Ed25519 key from the site's own key set (JWKS, RFC 7517).

The protected header names the key (``kid``), the kind of document (``typ``) and the depot it is meant for
(``aud``): a plan of another depot, or a signature over something else, is no plan here. The key set is a
file. It holds the old and the new key while they are changed, and is read again when it changes.
"""

import json
from pathlib import Path
from typing import Any, Final

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import KeySet, OKPKey
from joserfc.registry import HeaderParameter

from v2g_edge.cloud.inbox import Reason

TYPE: Final = "v2g-edge-plan+jws"
SIGNAL_TYPE: Final = "v2g-edge-signal+jws"
"""Kinds of documents: the signature of one is none of the other."""
ALGORITHMS: Final = ("Ed25519", "EdDSA")
"""Both names of the same signature (RFC 9864 and RFC 8037)."""
_AUDIENCE: Final = HeaderParameter("the depot that the plan is for", "str", required=True)
SIGNED_MORE: Final = 100_000
"""Octets that a signature adds at most to a plan of the largest size: base64 adds a third."""
KEYS_MAX: Final = 16
FILE_MAX: Final = 64 << 10


class BadSignature(Exception):  # noqa: N818 - names the fault of a document
    """The document is not signed as it must be. ``reason`` is one of ``inbox.REASONS``; the message says
    what was found.
    """

    def __init__(self, reason: Reason, text: str) -> None:
        super().__init__(text)
        self.reason = reason


class PlanKeys:
    """The public keys that may sign plans for ``audience``. ``path`` is the JWKS file."""

    def __init__(self, path: Path, audience: str) -> None:
        self._path = path
        self._audience = audience
        self._seen: tuple[int, int] | None = None
        self._keys: dict[str, OKPKey] = {}

    def open(self, payload: bytes, kind: str = TYPE) -> bytes:
        """The signed document of a kind. Raises ``BadSignature``."""
        self._load_if_changed()
        try:
            header = jws.extract_compact(payload).headers()
        except (JoseError, ValueError, UnicodeDecodeError, RecursionError) as fault:
            raise BadSignature("unsigned", f"no compact JWS: {fault}") from fault
        kid, typ, audience = (header.get(name) for name in ("kid", "typ", "aud"))
        if typ != kind or header.get("alg") not in ALGORITHMS or "crit" in header:
            text = (
                f"header has typ {typ!r} and alg {header.get('alg')!r}; expected {kind!r} and Ed25519,"
                " without crit"
            )
            raise BadSignature("bad_signature", text)
        if audience != self._audience:
            raise BadSignature(
                "foreign_audience", f"the plan is for {audience!r}; this depot is {self._audience!r}"
            )
        key = self._keys.get(str(kid))
        if key is None:
            known = ", ".join(sorted(self._keys)) or "none"
            raise BadSignature("unknown_key", f"the key {kid!r} is not in {self._path}; there are: {known}")
        try:
            registry = jws.JWSRegistry({"aud": _AUDIENCE}, algorithms=list(ALGORITHMS))
            return bytes(jws.deserialize_compact(payload, key, registry=registry).payload)
        except (JoseError, ValueError) as fault:
            raise BadSignature(
                "bad_signature", f"the signature of key {kid!r} does not fit: {fault}"
            ) from fault

    def fault(self) -> str:
        """What is wrong with the key file, "" for nothing."""
        try:
            self._load_if_changed()
        except BadSignature as fault:
            return str(fault)
        return ""

    def _load_if_changed(self) -> None:
        try:
            stat = self._path.stat()
            signature = (stat.st_mtime_ns, stat.st_size)
            if signature == self._seen:
                return
            document = json.loads(self._path.read_bytes()[: FILE_MAX + 1])
            self._keys = _keys_of(document)
            self._seen = signature
        except (OSError, ValueError, JoseError) as fault:
            if self._keys:
                return  # the keys that were known stay until the file can be read again
            raise BadSignature(
                "unknown_key", f"cloud.plan_keys_file {self._path} cannot be used: {fault}"
            ) from fault


def _keys_of(document: Any) -> dict[str, OKPKey]:
    entries = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(entries, list) or not 1 <= len(entries) <= KEYS_MAX:
        raise ValueError(f'expected {{"keys": […]}} with 1 to {KEYS_MAX} keys')
    keys = {}
    for entry in entries:
        if (
            not isinstance(entry, dict)
            or entry.get("kty") != "OKP"
            or entry.get("crv") != "Ed25519"
            or not entry.get("kid")
        ):
            raise ValueError("each key needs kty OKP, crv Ed25519, x and kid")
        if "d" in entry:
            raise ValueError(
                f"key {entry['kid']!r} holds its private part; the depot needs the public one alone"
            )
        keys[str(entry["kid"])] = OKPKey.import_key(entry)
    return keys


def sign(document: bytes, key: OKPKey, kid: str, audience: str, kind: str = TYPE) -> bytes:
    """A signed document, as a cloud makes it (for ``v2g-edge plan publish`` and tests)."""
    header = {"alg": "Ed25519", "kid": kid, "typ": kind, "aud": audience}
    registry = jws.JWSRegistry({"aud": _AUDIENCE}, algorithms=list(ALGORITHMS))
    return jws.serialize_compact(header, document, key, registry=registry).encode()


def key_set(*keys: tuple[str, OKPKey]) -> dict[str, Any]:
    """The JWKS document of the public parts."""
    entries = KeySet([OKPKey.import_key(key.as_dict(private=False) | {"kid": kid}) for kid, key in keys])
    return dict(entries.as_dict(private=False))
