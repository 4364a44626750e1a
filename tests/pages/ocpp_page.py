"""docs/ocpp.md, made from the code: ``python -m tests.pages.ocpp_page > docs/ocpp.md``."""

import sys
from typing import Final

from v2g_edge.field.ocpp.control import expressible, outlet_port
from v2g_edge.field.ocpp.link import onboarding
from v2g_edge.field.ocpp.link.station_link import LOST_MAX, PONG_S, VERSION_ADAPTERS
from v2g_edge.field.ocpp.station import store
from v2g_edge.field.ocpp.station.quirks import QUIRKS, Quirk
from v2g_edge.field.ocpp.station.station import Station
from v2g_edge.field.ocpp.trust import admission, ocsp
from v2g_edge.field.ocpp.upkeep import certificates, firmware
from v2g_edge.field.ocpp.upkeep.catalogue import Operation, spelled
from v2g_edge.field.ocpp.upkeep.maintenance import SITE, SITE_OPERATIONS
from v2g_edge.field.ocpp.upkeep.operations import (
    COMMISSIONING,
    NEW_PASSWORD,
    OPERATIONS,
    RESERVED,
    RETRY_DISCHARGE,
)
from v2g_edge.field.ocpp.vocabulary import charging_profiles as leases
from v2g_edge.field.ocpp.vocabulary import compliance, refusals, reports
from v2g_edge.field.ocpp.vocabulary import dynamic_profiles as finer
from v2g_edge.field.ocpp.vocabulary import last_messages as told
from v2g_edge.field.ocpp.vocabulary.metering import MEASURANDS
from v2g_edge.field.ocpp.wire import connection, frames, machine, queue, websocket
from v2g_edge.field.ocpp.wire.messages import (
    FROM_CENTRAL,
    FROM_STATION,
    SENDS,
    SUBPROTOCOL,
    VERSIONS,
    Version,
)
from v2g_edge.model.settings import Listener

OURS: Final = frozenset(
    {
        "SetChargingProfile",
        "ClearChargingProfile",
        "GetCompositeSchedule",
        "GetChargingProfiles",
        "ChangeConfiguration",
        "SetVariables",
        "ExtendedTriggerMessage",
        "TriggerMessage",
        "CertificateSigned",
        "GetDERControl",
        "SetVariableMonitoring",
        "GetPeriodicEventStream",
        "AdjustPeriodicEventStream",
        "NotifyAllowedEnergyTransfer",
        "UpdateDynamicSchedule",
    }
)
"""What the daemon sends by itself."""

_INTRO: Final = """# OCPP: the central system

Made by `python -m tests.pages.ocpp_page > docs/ocpp.md`; a test holds it against the code.

A charging station dials `ws://HOST:PORT/ANYTHING/IDENTITY` ({subprotocols} by WebSocket subprotocol, all on one port;
default port {port}). The last part of the path must be a `stations` entry of the site file; anybody else is refused
with 404, and the log says why. Percent signs are read ("RDAM%7C123"). The newest version that both speak is taken, in
whatever order they are offered; without one, or without any offer, the answer is 400.

## What a station is told

1. **A safe default first.** TxDefaultProfile (id {default_id} + evse) at the outlet's `fallback_w`, without an end. 2.x
   stations are asked for it back (GetChargingProfiles). Until it stands the outlet has no dead-man and never
   discharges, and it counts at its rating where it is silent. It is never cleared while it stands.
2. **Every permit is a lease.** TxProfile (id {lease_id} + evse, the same id at every renewal), Absolute (2.1: see below),
   `startSchedule` now on the station's clock, `duration` = the permit's, `validTo` with it (2.x), `maxOfflineDuration`
   and `invalidAfterOfflineDuration` (2.1). When we fall silent it runs out and the default is what is left.
   While a station's clock is not known (nothing that it stamped agreed with ours, nor steadily with another time), it is told
   no more than its default allows: a lease by a wrong clock may come into force in an hour.
   A lease is renewed at a third of its length. One that allows no more than the default does is long ({harmless_min:.0f} min):
   nothing unsafe can come of it. A station writes each into a flash that lasts some 100,000 times: {harmless_day:.0f} a day
   for what stands still at or below the default, 3 x 86,400 / `lease_s` (8,640 at 30 s) for what charges above it or
   discharges. Where that wears too much, raise `fallback_w` or `lease_s`, or use OCPP 2.1 with dynamic profiles.
   What is revoked is never sent: a newer permit replaces whatever waits for an answer, for the line, or for the next step of a
   refused one, and so does the end of the session or of the link.
3. **Discharge.** 1.6 and 2.0.1: a negative `limit`, only where the site file says `discharge_by = "negative_limit"`.
   2.1: CentralSetpoint with `setpoint` and `dischargeLimit` below zero and `limit` 0 (`discharge_by = "setpoint"`). The
   first discharge of a make (vendor, model, firmware) is at most {probe_w:.0f} W; the meter proves it (half of what was
   asked, after {settle_s:.0f} s) or refutes it (charging with more than {wrong_w:.0f} W). What GetCompositeSchedule
   answers is compared at once. A refuted station never gets a negative value again, and after three
   refuted ones no station of their make does, until somebody answers for `retry-discharge`.
   After {silent} setpoints in a row without an answer a station is told to stop only.
4. **Refusals.** Where none of our leases stands, what stands in the way is cleared once; then other shapes are tried: {shapes}.
   What worked is kept. A refused discharge is not tried in other shapes. In the same write the station is told what it took
   last, or 0 W, so that its default does not take over; after {rounds} refusals that is a rule: told as an event
   (`discharge_refused`, `limits_refused` in `events.md`), tried again after {pause_min:.0f} min, then more and more rarely.
5. **A stop passes everything**: it goes before all other calls and waits at most {patience_s:g} s for the answer to the
   one before it; a lease waits at most {lease_patience_s:g} s.
6. **Compliance.** Every reading is held against what was commanded and may be in force ({tolerance_w:.0f} W or
   {tolerance_share:.0%}); every {compare_min:.0f} min a renewal is followed by GetCompositeSchedule, after a
   contradiction the next one too. A score from 1 to 0 forgets over about twenty readings; a contradiction weighs as five
   of them. Below {trust_below:g} the station does not follow (`disobedient` in `events.md`: quarantined, counted at its
   maximum, never exporting, until an operator ends it), from {trust_again:g} it does again.
7. **After a boot** everything is said again at once: default, metering, lease.

## What a station says

Sessions: TransactionEvent, or StartTransaction, StopTransaction and MeterValues. A start or an end is on disk before it
is answered; registers follow every few seconds. Repetitions and late news change nothing: an ended transaction is known for
{kept_days:.0f} days, longer than a fleet's summer without power, and the latest {kept_max:,} of a station at most; open ones are
never forgotten, and a 1.6 number is given once. One outlet has one transaction:
the next one tells that the last is over when its end was lost. Status counts of the outlet's own `ocpp_connector` and of
the station as a whole (evse 0). While a boot is Pending (a storm of boots), a 2.x station gets SecurityError for all that it
was not asked for. A vehicle's own schedule (NotifyEVChargingSchedule) above what it was given is Rejected.

Readings with old time stamps are history, never the present; a wrong clock is recognised when several readings over time
agree on it. The vehicle is
the transaction's idToken (idTag), or an `additionalInfo` of type EVCCID, VIN or MacAddress. Needs come by
NotifyEVChargingNeeds: `departureTime`, `stateOfCharge`, `evEnergyCapacity`, `evMaxPower`, target SoC from
`v2xChargingParameters.targetSoC` or `fullSoC`; `v2xChargingParameters` is also read on 2.0.1, there or inside
`customData`. The pack's temperature: 1.6 measurand Temperature at location EV; 2.x NotifyEvent, component ConnectedEV,
variable Temperature.

Metering asked for, beside what the station reports already: {measurands}, every `meter_interval_s`. What it refuses is left
out, nothing else, and not asked again of this make and firmware; a list that holds all of it stays as a person set it.

Power is what the station calls so. Where it tells none it is reckoned from currents and voltages (`power_source` "currents";
such a power proves no discharge), else from the slope of the register ("register", a mean over 10 to 300 s). A register that
runs while the power stays at zero wins over it. 0 % is a state of charge.

A station that reconnects takes over its old link, needs no boot and no new status: what was open is restored from disk,
and it is asked for its status after {boot_wait_s:g} s without a BootNotification.

`v2g-edge ocpp IDENTITY` shows what a station said last: {told_max} messages, but for what all say all day, in {told_all_kib} KiB
together. One above {told_kib} KiB is shortened: `shortened_from_octets`, and "{told_mark}" where something is left out. An
operation that asks for a report shows all its parts, up to {report_mib} MiB; above that it is not `complete`.

## Who may charge

{tokens}

## Security

Each listener has one security profile (0 none, 1 Basic, 2 TLS with Basic, 3 mutual TLS); a station with
`least_security_profile` is turned away by lower ones, and no message to a station asks for less than it uses now. After
{failures} wrong passwords in a row from one address, further wrong ones are answered 429 for {locked_s:g} s; the right
one comes in all the while. A station that is connected is not replaced by a dial with a lower profile. TLS 1.2
and 1.3; give an ECDSA and an RSA certificate; `tls_rsa_suites` adds the two suites without forward secrecy.

**Certificates of listeners** (`certificate_files`, `key_files`, `client_ca_file` with its revocation list) may change at any
time: they are looked at every {look_s:g} s, and at once with `v2g-edge ocpp @site reload` or SIGHUP (`systemctl reload`).
New handshakes use the new files, standing links stay. Files that do not fit, or have run out, are refused by name in the
log, and the old ones stay. A station whose certificate is revoked loses its link at once. Keep these files where the daemon
can read them while it runs; systemd's credentials are copies from its start.

**Certificates of stations.** `v2g-edge pki` makes the site's authority, issues, signs, lists, revokes. `pki revoke STATION`
revokes every certificate of a station: use it when a charger is stolen, for its key may have got more of them.
In `pki` of the state
folder it signs what stations request (SignCertificate, over TLS only, ChargingStationCertificate only). A station whose
certificate has less than `ocpp.renew_days` left is asked once a day to request a new one; the log says what became of it.
`v2g-edge ocpp @site certificates` lists until when each is good.

**Passwords.** `v2g-edge ocpp STATION new-password` makes a random one, tells the station (AuthorizationKey,
SecurityCtrlr.BasicAuthPassword) and accepts both until the new one is used. It lies in `passwords` of the state folder and
in no log. A new text in the station's `password_file` overrules it.

## Vehicles' certificates

GetCertificateStatus and GetCertificateChainStatus (2.1; also by revocation list) ask a host that `ocpp.ocsp_hosts` lists,
without redirects, {ocsp_s:g} s and {ocsp_max} octets ({list_max} for a list) at most, and keep its word until its next
update. Without a listed host the answer is Failed. A word of our own (chain status, `certificateStatus` of Authorize) is
given only where the response's signature leads to a certificate in `pki/issuers.pem` of the state folder: Accepted,
CertificateRevoked (the identifier is Invalid then), CertificateExpired or CertChainError for a chain that does not hold;
else nothing is said and the identifier decides. A limit: contracts are neither installed nor updated
(Get15118EVCertificate: Failed), because a depot has no contract pool behind it.

## Firmware

`v2g-edge ocpp @site rollout make=VENDOR/MODEL version=2.0 location=URL waves='[1, "10%"]'` updates the stations of one make
in waves; the stations that remain are the last one. `version` is what BootNotification says afterwards. `signature` and `certificate` make it
signed (1.6: SignedUpdateFirmware). A station is good when it has reported Installed, has come back with the version, and has then
been connected, without a fault and following its setpoints for `soak_s` (default {soak_s:g}). The next wave begins when a
wave is good. Anything else (a failure, nothing new for `deadline_s`, default {deadline_s:g}, another version, a fault) stops
it and says which station and why: `rollout-status`, then `rollout-continue` (`retry=true` tries the failed stations again, else they are
left out) or `rollout-abort`. A station where a vehicle stands, that is faulted or not connected is waited for, or with
`busy=skip` left out; at most `at_once` (default {at_once}) are under way together. No station is asked before `retrieve_at`;
`install_at` is handed on. A restart of the daemon changes nothing.

## What 2.1 adds

**Setpoints within a lease**, at a station that says SmartChargingCtrlr.SupportsDynamicProfiles is true, go by
UpdateDynamicSchedule: the lease is a profile of kind Dynamic, `duration` and
`maxOfflineDuration` as ever, and its `validTo` ends it whatever updates come; it is renewed by a new profile like any other.
PullDynamicScheduleUpdate is answered with the wanted numbers while the lease stands, and Rejected afterwards. A change of
direction, and a stop of a discharge, are new profiles. A station that refuses a dynamic profile and takes an Absolute one
gets Absolute ones until it boots.

**Frequency response in the charger.** An outlet with `droop_w` (site file, with `[response]`) may be given operation mode
LocalFrequency: `v2xBaseline` is the setpoint, and `v2xFreqWattCurve` adds nothing within `deadband_hz` of nominal and
± the droop from `full_hz` on; low frequency takes power off. It reacts without a message. The permit bounds it: both ends
have passed every limit that binds the setpoint (rating, vehicle, feeders and phases in both directions, departures, grid
connection, ramp), and the curve is flat out to ±{far_hz:g} Hz, so that no reading of it leads further. It stands in the same
short TxProfile and ends with it. There is none where discharge of the make is not proven, where the station does not
follow, beside a setpoint that was cut, and below zero none while export is denied. A station that refuses it, or whose
GetCompositeSchedule lies outside it, gets plain setpoints until it boots. Limits: the local plan sells no response of its
own, so a charger that feeds back at its rating has no headroom for one; what a charger gave is not settled yet; and while
a make gives its first response no headroom is kept for its rating: its schedule is asked at once, its meter is watched.

**Energy transfer.** When a vehicle offers both ways (AC_BPT, AC_BPT_DER, DC_BPT, DC_ACDP_BPT), the station is told by
NotifyAllowedEnergyTransfer what it may use: both ways where the site may export, the outlet can, and the vehicle and its
type are in the site file and may discharge; else the one-way modes only. Such a vehicle is allowed every mode in the
answer to Authorize already. A vehicle's own schedule with more discharge than
was permitted is Rejected and logged.

**DER.** All settings are read after each connect and boot (GetDERControl) and audited as one, however many parts the report
has: enter service, ramp, must-trip curves, the ten-minute mean, no must-trip and may-trip point inside what the code rides
through, momentary cessation only where the code allows it. What differs denies export (`grid_code_mismatch`). Not audited,
because the report or the code has no word for it: rate of change of frequency, droop, gradients, reactive power, discharge
limits. NotifyDERAlarm is a fault of all outlets until that control's alarm ends. NotifyDERStartStop: while a cessation,
a trip or an unknown control runs, nothing is discharged. SetDERControl and ClearDERControl need `engineer`; what
the charger then reports is compared, and the answer says `held` and what `differs`.

**Priority charging** (NotifyPriorityCharging) overrules leases at the station: the outlet is counted at its maximum at once and
exports nothing (`priority_charging`). We never ask for it: UsePriorityCharging, which K21.FR.10 has a CSMS support, is
reserved, because what it starts is bounded by no permit.

**AFRRSignal is reserved.** A signal is added to the power by a curve in the charger, beside the frequency's: it moves power
between two ticks, and the envelope would have to judge the sum of both curves before. It could do so by sharing the droop
between them; but no service hands this daemon such a signal, and aFRR has five minutes to full activation (the European
implementation framework for aFRR), so its
setpoint goes the ordinary way of plan, permit and lease every tick. CentralFrequency is that same way by another name.

**Streams.** Each outlet's power is asked for as a periodic event stream every `meter_interval_s`; after a reconnect streams are
taken up under their old ids (GetPeriodicEventStream) and brought to our pace (AdjustPeriodicEventStream).

## Limits

| what | limit |
|---|---|
"""

_TOKENS: Final = """Everybody, unless the state folder holds `tokens.json`, which is read again when it changes:
`{"others": "Invalid", "known": {"bus-1": {}, "old-card": {"status": "Blocked"}, "guest": {"until": "2026-12-31T00:00:00Z"}}}`.
Identifiers have no case. `"group": "fleet"` beside a status or a date: who shares a group may end what another of it began,
and a group that a station has as its MasterPassGroupId may end everything there. An eMAID (Plug & Charge) is an
identifier like any other."""


def render() -> str:
    """The page."""
    shapes = ", ".join(_shape(shape) for shape in leases.LADDER[1:])
    intro = _INTRO.format(
        subprotocols=", ".join(SUBPROTOCOL[version] for version in VERSIONS),
        port=Listener().port,
        default_id=leases.DEFAULT_ID,
        lease_id=leases.LEASE_ID,
        harmless_min=outlet_port.HARMLESS_S / 60.0,
        harmless_day=3.0 * 86_400.0 / outlet_port.HARMLESS_S,
        rounds=refusals.ROUNDS,
        pause_min=refusals.FIRST_PAUSE_S / 60.0,
        probe_w=compliance.PROBE_W,
        settle_s=compliance.SETTLE_S,
        wrong_w=compliance.WRONG_WAY_W,
        shapes=shapes,
        silent=expressible.SILENT_MAX,
        tolerance_w=compliance.TOLERANCE_W,
        tolerance_share=compliance.TOLERANCE_SHARE,
        compare_min=outlet_port.COMPARE_S / 60.0,
        trust_below=compliance.TRUST_BELOW,
        trust_again=compliance.TRUST_AGAIN,
        patience_s=machine.SAFETY_PATIENCE_S,
        lease_patience_s=machine.SETPOINT_PATIENCE_S,
        measurands=", ".join(MEASURANDS),
        boot_wait_s=onboarding.BOOT_WAIT_S,
        told_max=told.TOLD_MAX,
        told_all_kib=told.ALL_MAX >> 10,
        told_kib=told.MESSAGE_MAX >> 10,
        told_mark=told.MARK,
        report_mib=reports.OCTETS_MAX >> 20,
        kept_days=store.KEPT_S / 86_400.0,
        kept_max=store.KEPT_MAX,
        tokens=_TOKENS,
        failures=admission.FAILURES_MAX,
        locked_s=admission.LOCKED_S,
        look_s=certificates.LOOK_S,
        ocsp_s=ocsp.ANSWER_S,
        ocsp_max=ocsp.ANSWER_MAX,
        list_max=ocsp.LIST_MAX,
        soak_s=firmware.Terms().soak_s,
        deadline_s=firmware.Terms().deadline_s,
        at_once=firmware.Terms().at_once,
        far_hz=finer.FAR_HZ,
    )
    return intro + "\n".join([*_limits(), "", *_quirks(), "", *_operations(), "", *_messages()]) + "\n"


def _shape(shape: leases.Shape) -> str:
    end = "with" if shape.valid_to else "without"
    return f"{end} `validTo` in {shape.unit} at level {shape.stack_level}"


def _limits() -> list[str]:
    rows = (
        ("one frame", f"{frames.FRAME_MAX} bytes"),
        ("unread data of a station", f"{websocket.UNREAD_MAX} bytes, then the link is cut"),
        ("frames that are no OCPP", f"{connection.STRAYS_MAX}, then the link is closed (1008)"),
        ("calls waiting for a station", f"{queue.QUEUE_MAX}, the least urgent falls out"),
        ("calls of a station without answer", str(machine.OPEN_MAX)),
        ("answer to a call", f"{machine.TIMEOUT_S:g} s; to a setpoint 10 s"),
        ("pings lost in a row", f"{LOST_MAX} of {PONG_S:g} s, then the link is cut"),
        ("first transaction id of 1.6", str(store.FIRST_TRANSACTION)),
    )
    return [f"| {what} | {limit} |" for what, limit in rows]


def _quirks() -> list[str]:
    lines = [
        "## What is peculiar to makes",
        "",
        (
            "Known by what BootNotification says (`*`: anything); the first row that fits counts. A row takes"
            " away or adds patience,"
        ),
        (
            "and never says that a discharge is proven. `limit_unit`, `remote_start`, `answers_within_s` and"
            " `discharges` of a"
        ),
        (
            "station in the site file come on top. A remote start is for the card `remote_start_token`"
            " (`depot`), which no vehicle"
        ),
        (
            "of the site should have: so started, a vehicle charges and never discharges. It is asked for"
            " while a vehicle waits,"
        ),
        "after growing pauses; a station that does not start it is an event (`remote_start_failed`).",
        "",
        "| vendor | model | firmware | what we do | because | seen in |",
        "|---|---|---|---|---|---|",
    ]
    return lines + [
        f"| {q.vendor} | {q.model} | {q.firmware} | {_heeded(q)} | {q.reason} | {q.source} |".replace(
            "*", "\\*"
        )
        for q in QUIRKS
    ]


def _heeded(quirk: Quirk) -> str:
    told = (
        (quirk.unit, f"limits in {quirk.unit} only"),
        (quirk.measurands, "asked for " + ", ".join(quirk.measurands)),
        (quirk.settings, "first " + ", ".join(f"`{key}={value}`" for key, value in quirk.settings)),
        (quirk.make_available, "made available"),
        (quirk.ask_status, "asked for its status after a boot too"),
        (quirk.remote_start, "started when a vehicle comes"),
        (quirk.answers_within_s, f"waited for {quirk.answers_within_s:g} s"),
        (quirk.energy_factor != 1.0, f"registers × {quirk.energy_factor:g}"),
        (not quirk.discharges, "never told to discharge"),
    )
    return "; ".join(text for heeded, text in told if heeded)


def _operations() -> list[str]:
    lines = [
        "## What can be asked",
        "",
        "`v2g-edge ocpp STATION OPERATION NAME=VALUE…`, and `ocpp` on the control socket.",
        "",
    ]
    lines += ["What stands in brackets may be left out.", ""]
    lines += ["| operation | what | parameters in 1.6 | in 2.0.1 | in 2.1 |", "|---|---|---|---|---|"]
    lines.append(
        f"| {NEW_PASSWORD} | give it a new Basic password that nobody sees | no parameters | the same | the"
        " same |"
    )
    lines.append(
        f"| {RETRY_DISCHARGE} | probe a refuted make's discharge again, nothing is sent | engineer | the same"
        " | the same |"
    )
    lines.append("| call | any message of the version | action, [payload (a table)] | the same | the same |")
    lines += [
        f"| {name} | {row.text.replace('|', ', ')} | {_forms(row)} |" for name, row in OPERATIONS.items()
    ]
    lines += ["", f"`v2g-edge ocpp {SITE} OPERATION NAME=VALUE…` asks for all stations together:", ""]
    lines += ["| operation | what | parameters |", "|---|---|---|"]
    lines += [f"| {name} | {text} | {spelled(takes)} |" for name, (text, takes) in SITE_OPERATIONS.items()]
    lines += [
        "",
        "Never sent by hand: "
        + "; ".join(f"{action} ({why})" for action, why in sorted(RESERVED.items()))
        + ".",
    ]
    lines.append("Nor passwords (new-password does that), nor a security profile below the present one.")
    lines.append(f"Only with `engineer=NAME`: {', '.join(sorted(COMMISSIONING))} (grid-code settings).")
    return lines


def _messages() -> list[str]:
    lines = [
        "## Every message",
        "",
        "*in*: answered. *out*: sent by the daemon itself. *ask*: on request, by `call` or an operation.",
        "*NotSupported*: known, and answered so. *reserved*: never sent.",
        "",
    ]
    for version in VERSIONS:
        handled = handles(version)
        rows = {action: "in" if action in handled else "NotSupported" for action in FROM_STATION[version]}
        rows |= dict.fromkeys(SENDS[version], "in")
        for action in FROM_CENTRAL[version]:
            way = "out" if action in OURS else "reserved" if action in RESERVED else "ask"
            rows[action] = f"{rows[action]}, {way}" if action in rows else way
        lines += [f"### OCPP {version}", "", "| message | |", "|---|---|"]
        lines += [f"| {action} | {rows[action]} |" for action in sorted(rows)]
        lines.append("")
    return lines[:-1]


def handles(version: Version) -> frozenset[str]:
    """The incoming actions that are answered in ``version``."""
    nobody: Station = object.__new__(Station)  # the handlers are only named, never called
    return VERSION_ADAPTERS[version](nobody, lambda: 0.0).handles


def _forms(row: Operation) -> str:
    """Parameters of each version, told once where they are the same."""
    told = [
        "no such message" if form is None else spelled(form.takes) for form in (row.v16, row.v201, row.v21)
    ]
    return " | ".join(
        "the same" if place and text == told[place - 1] else text for place, text in enumerate(told)
    )


if __name__ == "__main__":
    sys.stdout.write(render())
