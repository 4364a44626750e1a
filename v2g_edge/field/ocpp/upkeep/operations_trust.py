"""What a depot asks of its stations about firmware, certificates and the way to the central system."""

from typing import Any, Final

from v2g_edge.field.ocpp.upkeep.catalogue import REQUEST, Form, Message, Operation, Params, both, picked, same

_TIMES: Final = "location retrieve_at:time install_at:time? retries:int? retry_s:int? request:int?"


def update_firmware_16(p: Params) -> Message:
    """UpdateFirmware of plain 1.6."""
    payload = {"location": p["location"], "retrieveDate": p["retrieve_at"]}
    return "UpdateFirmware", payload | picked(p, retries="retries", retry_s="retryInterval")


def signed_firmware_16(p: Params) -> Message:
    """SignedUpdateFirmware of 1.6's security extensions; the same table as 2.x."""
    return "SignedUpdateFirmware", update_firmware_2(p)[1]


def update_firmware_2(p: Params) -> Message:
    """UpdateFirmware of 2.x."""
    firmware: dict[str, Any] = {"location": p["location"], "retrieveDateTime": p["retrieve_at"]}
    firmware |= picked(
        p, install_at="installDateTime", signature="signature", certificate="signingCertificate"
    )
    payload = {"requestId": p.get("request", REQUEST), "firmware": firmware}
    return "UpdateFirmware", payload | picked(p, retries="retries", retry_s="retryInterval")


def _network(p: Params) -> Message:
    data = {
        "ocppVersion": "OCPP20", "ocppTransport": "JSON", "ocppCsmsUrl": p["url"],
        "ocppInterface": p.get("interface", "Wired0"),
        "messageTimeout": p.get("timeout_s", 30), "securityProfile": p["security_profile"],
        **picked(p, apn="apn", vpn="vpn"),
    }  # fmt: skip
    return "SetNetworkProfile", {"configurationSlot": p["slot"], "connectionData": data}


TRUST: Final[dict[str, Operation]] = {
    "certificates": both(
        "list installed certificates; type CentralSystemRootCertificate (2.x "
        "CSMSRootCertificate)|ManufacturerRootCertificate|…",
        Form("type?", lambda p: (
            "GetInstalledCertificateIds", {"certificateType": p.get("type", "CentralSystemRootCertificate")}
        )),
        Form("type?",
            lambda p: ("GetInstalledCertificateIds",
                {"certificateType": [p["type"]]} if "type" in p else {})),
    ),
    "delete-certificate": same(
        "remove a certificate; hash as `certificates` lists it", "hash:table",
        lambda p: ("DeleteCertificate", {"certificateHashData": p["hash"]}),
    ),
    "firmware": both(
        "update the firmware of this station alone; for many there is `@site rollout`",
        Form("location retrieve_at:time retries:int? retry_s:int?", update_firmware_16),
        Form(f"{_TIMES} signature? certificate?", update_firmware_2),
    ),
    "install-certificate": same(
        "install a root certificate; types as for `certificates`", "type pem",
        lambda p: ("InstallCertificate", {"certificateType": p["type"], "certificate": p["pem"]}),
    ),
    "network-profile": both(
        "how it shall reach the central system", None,
        Form("slot:int url security_profile:int interface? timeout_s:int? apn:table? vpn:table?", _network),
    ),
    "publish-firmware": both(
        "have a local controller publish a firmware file; checksum MD5 (its state comes as "
        "PublishFirmwareStatusNotification)",
        None,
        Form("location checksum retries:int? retry_s:int? request:int?", lambda p: ("PublishFirmware", {
            "location": p["location"], "checksum": p["checksum"], "requestId": p.get("request", REQUEST),
            **picked(p, retries="retries", retry_s="retryInterval"),
        })),
    ),
    "signed-firmware": both(
        "update this station alone to signed firmware (2.x: firmware)",
        Form(f"{_TIMES} signature certificate", signed_firmware_16),
        None,
    ),
    "unpublish-firmware": both(
        "have a local controller take a firmware file back", None,
        Form("checksum", lambda p: ("UnpublishFirmware", {"checksum": p["checksum"]})),
    ),
}  # fmt: skip
"""By name."""
