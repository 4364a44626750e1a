"""Fault codes of chargers as data: what adapters map vendor codes to, and what each of ours stops.

OCPP 1.6 names its codes in ChargePointErrorCode; the phase mismatch is the inverter's own 0x04. A charger
that cannot charge says so by its status (Faulted), which stops everything whatever the code. EVerest's
stations send OtherError with every warning, beside the status of a charger at work.
"""

from typing import Final, Literal, NamedTuple


class Fault(NamedTuple):
    """``stops`` "all" power both ways, discharge only, or nothing (it is shown to people and no more)."""

    stops: Literal["all", "discharge", "nothing"]
    text: str


FAULTS: Final[dict[str, Fault]] = {
    "Inverter_Fault_0x04": Fault("all", "phase mismatch between inverter and grid"),
    "ConnectorLockFailure": Fault("all", "connector does not lock"),
    "DERControlCeased": Fault("discharge", "a control of the charger's own inverter has ended the discharge"),
    "EVCommunicationError": Fault("discharge", "vehicle does not answer the charger"),
    "GroundFailure": Fault("all", "earth fault"),
    "HighTemperature": Fault("discharge", "charger too hot"),
    "InternalError": Fault("all", "internal error"),
    "LocalListConflict": Fault("nothing", "local authorisation list in conflict"),
    "OtherError": Fault("discharge", "error or warning of the charger's own; it says that it can charge"),
    "OverCurrentFailure": Fault("all", "over-current"),
    "OverVoltage": Fault("all", "over-voltage"),
    "PowerMeterFailure": Fault("discharge", "charger's meter does not work"),
    "PowerSwitchFailure": Fault("all", "power switch does not work"),
    "ReaderFailure": Fault("nothing", "token reader does not work"),
    "ResetFailure": Fault("discharge", "could not restart"),
    "UnderVoltage": Fault("discharge", "supply voltage too low"),
    "WeakSignal": Fault("nothing", "weak radio signal"),
}

VENDOR_CODES: Final[dict[str, str]] = {
    "0x04": "Inverter_Fault_0x04",
    "PhaseMismatch": "Inverter_Fault_0x04",
    "PhaseRotation": "Inverter_Fault_0x04",
}
"""Vendors' words for faults that have a code of ours."""


def fault_code(code: str) -> str:
    """Our code for a charger's; "" for none (and OCPP's NoError), the charger's own word where we have no
    code for it.
    """
    return "" if code in {"", "NoError"} else VENDOR_CODES.get(code, code)


def fault_of(code: str) -> Fault:
    """What a fault stops; an unlisted code stops everything."""
    return FAULTS.get(code, Fault("all", "unlisted fault"))
