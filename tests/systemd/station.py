"""``python -m tests.systemd.station PORT IDENTITY PASSWORD``: a simulated station of OCPP 1.6 that plugs a
vehicle in and charges as it is told.

It prints each new limit of its lease, in the units of the profile, and goes on until it is ended.
"""

# ruff: noqa: T201 - it is a command: printing is its job
import asyncio
import base64
import sys

from tests.field.ocpp.peer import Peer

AT = "2026-03-01T12:00:00Z"
EVERY_S = 2.0


async def main(port: int, identity: str, password: str) -> None:
    """Boot, plug in, start, and report the power that the lease allows."""
    token = base64.b64encode(f"{identity}:{password}".encode()).decode()
    headers = {"Authorization": f"Basic {token}"}
    station = await Peer.dial(port, identity, "1.6", additional_headers=headers)
    await station.call("BootNotification", {"chargePointVendor": "Test", "chargePointModel": "One"})
    status = {"connectorId": 1, "status": "Preparing", "errorCode": "NoError"}
    await station.call("StatusNotification", status)
    start = {"connectorId": 1, "idTag": "bus-1", "meterStart": 0, "timestamp": AT}
    transaction = (await station.call("StartTransaction", start))["transactionId"]
    await station.call("StatusNotification", {**status, "status": "Charging"})
    said = ""
    while True:
        leases = [each["csChargingProfiles"] for each in station.got("SetChargingProfile")]
        leases = [each for each in leases if each["chargingProfilePurpose"] == "TxProfile"]
        if leases:
            schedule = leases[-1]["chargingSchedule"]
            limit = f"{schedule['chargingSchedulePeriod'][0]['limit']} {schedule['chargingRateUnit']}"
            if limit != said:
                said = limit
                print(limit, flush=True)
        sample = {"value": "4140", "measurand": "Power.Active.Import", "unit": "W"}
        value = {"timestamp": AT, "sampledValue": [sample]}
        values = {"connectorId": 1, "transactionId": transaction, "meterValue": [value]}
        await station.call("MeterValues", values)
        await asyncio.sleep(EVERY_S)  # the pace of a station's reports


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), sys.argv[2], sys.argv[3]))
