"""Steps of the compliance cases in which a person asks a station for something.

Each step is one operation of ``v2g-edge ocpp``; ``demands`` is what the case looks for in the message,
``answer`` what the tool's station says to it, ``after`` what that station sends then and wants acknowledged.
"""

from typing import Any, Final, NamedTuple

URL: Final = "https://files.example/x"
PEM: Final = "-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----"
HASH: Final = {"hashAlgorithm": "SHA256", "issuerNameHash": "a", "issuerKeyHash": "b", "serialNumber": "1"}
LATER: Final = "2026-03-01T13:00:00.000Z"
OK: Final = {"status": "Accepted"}
LOG: Final = {"remoteLocation": URL}

Call = tuple[str, dict[str, Any]]


class Step(NamedTuple):
    """See the module. ``action`` is the message that must go out."""

    operation: str
    params: dict[str, Any]
    action: str
    demands: dict[str, Any]
    answer: dict[str, Any]
    after: tuple[Call, ...] = ()


def said(status: str) -> dict[str, Any]:
    return {"status": status}


def each(action: str, *statuses: str, **more: Any) -> tuple[Call, ...]:
    return tuple((action, {"status": status, **more}) for status in statuses)


def cancel(answer: str, *after: Call) -> list[Step]:
    return [
        Step(
            "cancel-reservation",
            {"reservation": 1},
            "CancelReservation",
            {"reservationId": 1},
            said(answer),
            after,
        )
    ]


def install(kind: str, answer: str = "Accepted", *after: Step) -> list[Step]:
    demands = {"certificateType": kind, "certificate": PEM}
    return [
        Step("install-certificate", {"type": kind, "pem": PEM}, "InstallCertificate", demands, said(answer)),
        *after,
    ]


def delete(answer: str) -> Step:
    return Step(
        "delete-certificate", {"hash": HASH}, "DeleteCertificate", {"certificateHashData": HASH}, said(answer)
    )
