"""Which message goes which way in each version of OCPP. The schemas come from the ``ocpp`` package; the
direction does not.

A test holds these tables against the package's schema files, so that none is missing and none is made up.
"""

from functools import cache
from typing import Final, Literal

Version = Literal["1.6", "2.0.1", "2.1"]
Role = Literal["central", "station"]

VERSIONS: Final[tuple[Version, ...]] = ("2.1", "2.0.1", "1.6")
"""Newest first: what we would rather speak when a station offers several."""

SUBPROTOCOL: Final[dict[Version, str]] = {"1.6": "ocpp1.6", "2.0.1": "ocpp2.0.1", "2.1": "ocpp2.1"}


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


_V16_STATION: Final = _names(
    """Authorize BootNotification DataTransfer DiagnosticsStatusNotification FirmwareStatusNotification
    Heartbeat LogStatusNotification MeterValues SecurityEventNotification SignCertificate
    SignedFirmwareStatusNotification StartTransaction StatusNotification StopTransaction"""
)
_V16_CENTRAL: Final = _names(
    """CancelReservation CertificateSigned ChangeAvailability ChangeConfiguration ClearCache
    ClearChargingProfile DataTransfer DeleteCertificate ExtendedTriggerMessage GetCompositeSchedule
    GetConfiguration GetDiagnostics GetInstalledCertificateIds GetLocalListVersion GetLog
    InstallCertificate RemoteStartTransaction RemoteStopTransaction ReserveNow Reset SendLocalList
    SetChargingProfile SignedUpdateFirmware TriggerMessage UnlockConnector UpdateFirmware"""
)
_V201_STATION: Final = _names(
    """Authorize BootNotification ClearedChargingLimit DataTransfer FirmwareStatusNotification
    Get15118EVCertificate GetCertificateStatus Heartbeat LogStatusNotification MeterValues
    NotifyChargingLimit NotifyCustomerInformation NotifyDisplayMessages NotifyEVChargingNeeds
    NotifyEVChargingSchedule NotifyEvent NotifyMonitoringReport NotifyReport
    PublishFirmwareStatusNotification ReportChargingProfiles ReservationStatusUpdate
    SecurityEventNotification SignCertificate StatusNotification TransactionEvent"""
)
_V201_CENTRAL: Final = _names(
    """CancelReservation CertificateSigned ChangeAvailability ClearCache ClearChargingProfile
    ClearDisplayMessage ClearVariableMonitoring CostUpdated CustomerInformation DataTransfer
    DeleteCertificate GetBaseReport GetChargingProfiles GetCompositeSchedule GetDisplayMessages
    GetInstalledCertificateIds GetLocalListVersion GetLog GetMonitoringReport GetReport
    GetTransactionStatus GetVariables InstallCertificate PublishFirmware RequestStartTransaction
    RequestStopTransaction ReserveNow Reset SendLocalList SetChargingProfile SetDisplayMessage
    SetMonitoringBase SetMonitoringLevel SetNetworkProfile SetVariableMonitoring SetVariables
    TriggerMessage UnlockConnector UnpublishFirmware UpdateFirmware"""
)
_V21_STATION: Final = _V201_STATION | _names(
    """BatterySwap ClosePeriodicEventStream GetCertificateChainStatus NotifyDERAlarm NotifyDERStartStop
    NotifyPriorityCharging NotifySettlement NotifyWebPaymentStarted OpenPeriodicEventStream
    PullDynamicScheduleUpdate ReportDERControl VatNumberValidation"""
)
_V21_CENTRAL: Final = _V201_CENTRAL | _names(
    """AFRRSignal AdjustPeriodicEventStream ChangeTransactionTariff ClearDERControl ClearTariffs GetDERControl
    GetPeriodicEventStream GetTariffs NotifyAllowedEnergyTransfer RequestBatterySwap SetDERControl
    SetDefaultTariff UpdateDynamicSchedule UsePriorityCharging"""
)

SENDS: Final[dict[Version, frozenset[str]]] = {
    "1.6": frozenset(),
    "2.0.1": frozenset(),
    "2.1": frozenset({"NotifyPeriodicEventStream"}),
}
"""Unconfirmed messages (message type 6, OCPP 2.1 Part 4), all from the station."""

FROM_STATION: Final[dict[Version, frozenset[str]]] = {
    "1.6": _V16_STATION,
    "2.0.1": _V201_STATION,
    "2.1": _V21_STATION,
}
FROM_CENTRAL: Final[dict[Version, frozenset[str]]] = {
    "1.6": _V16_CENTRAL,
    "2.0.1": _V201_CENTRAL,
    "2.1": _V21_CENTRAL,
}


@cache  # one set for all stations of a version: a thousand copies cost four megabytes
def known_actions(version: Version) -> frozenset[str]:
    """Every action that is called, either way, in ``version``."""
    return FROM_STATION[version] | FROM_CENTRAL[version]


def incoming_actions(version: Version, role: Role) -> frozenset[str]:
    """The actions that ``role`` may be called with."""
    return FROM_STATION[version] if role == "central" else FROM_CENTRAL[version]
