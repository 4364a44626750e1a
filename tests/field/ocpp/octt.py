"""The public case ids of the Open Charge Alliance's compliance tool for a central system, and the test of
ours that plays each.

1.6: "Test case document OCTT for OCPP 1.6", section 3 (system under test: central system), with the cases
that published result tables add. 2.0.1: all cases of published test suites and result tables, core and every
optional part. 2.1: what they add. ``python -m tests.field.ocpp.octt`` writes docs/ocpp-octt.md.
"""

from pathlib import Path
from typing import Final

from tests.field.ocpp import octt_asked_16, octt_asked_21, octt_asked_201

PAGE: Final = Path(__file__).parents[3] / "docs" / "ocpp-octt.md"

ASKED: Final = "test_octt_asked.py::test_a_case_of_the_compliance_tool_is_asked_for_and_told"
CLEARED: Final = (
    "test_strangers.py::test_a_profile_that_is_refused_is_cleared_by_its_purpose_even_where_there_was_none"
)
DEFAULT: Final = "test_server.py::test_a_booted_station_gets_the_time_then_its_safe_default_and_its_metering"
GROUP: Final = "test_octt.py::test_who_shares_a_group_is_told_it_and_may_end_what_another_began"
HANDSHAKE: Final = "test_strangers.py::test_who_is_let_in_and_what_is_spoken"
HIGH_LEVEL: Final = "test_octt.py::test_a_vehicle_that_plans_with_more_than_it_was_given_is_to_plan_again"
LATE: Final = "test_octt.py::test_transactions_of_a_time_without_link_are_taken"
LEASE: Final = "test_server.py::test_a_permit_becomes_a_short_profile_whose_renewals_keep_the_id"
LEASE_16: Final = "test_server.py::test_1_6_counts_its_transactions_and_writes_one_schedule"
NOTICE: Final = "test_octt.py::test_every_notification_is_acknowledged"
PASSWORD: Final = (
    "test_passwords.py::test_both_passwords_open_until_the_new_one_is_used_then_only_the_new_one"
)
PEER_16: Final = "test_peers.py::test_a_1_6_client_of_the_package_plays_a_whole_session"
PROFILE_1: Final = "test_security.py::test_profile_1_wants_the_stations_own_name_and_password"
PROFILE_2: Final = (
    "test_security.py::test_profile_2_offers_every_required_suite_with_an_ecdsa_and_an_rsa_certificate"
)
PROFILE_3: Final = "test_security.py::test_profile_3_takes_only_the_stations_own_unrevoked_certificate"
SESSION: Final = "test_octt.py::test_a_session_of_1_6_in_every_order_is_taken"
SESSION_2: Final = "test_octt.py::test_a_session_of_2_0_1_in_every_order_is_taken"
SIGN: Final = "test_security.py::test_a_station_renews_its_certificate_over_tls_and_gets_nobody_elses"
STORM: Final = "test_restart.py::test_in_a_storm_of_boots_the_last_wait_each_a_while_and_are_then_taken"
TOKEN: Final = "test_octt.py::test_an_identifier_is_answered_as_the_token_file_says"

BY_PERMIT: Final = (
    "charging profiles come of permits alone; what this case sends by hand would overrule the envelope"
)
CONTRACTS: Final = "contracts are not handed out: a depot has no contract pool behind it"


def _each(names: str, test: str, suffix: str = "") -> dict[str, str]:
    return {f"TC_{name}{suffix}": test for name in names.split()}


def _new(names: str, test: str) -> dict[str, str]:
    return _each(names, test, "_CSMS")


V16: Final[dict[str, str]] = {
    **dict.fromkeys(octt_asked_16.V16, ASKED),
    **_each("001 057", LEASE_16),
    **_each("003 004_1 004_2 005_1 007 024", SESSION),
    **_each("023_1 023_2 023_3", TOKEN),
    **_each("032_1 037_1 037_3 039", LATE),
    **_each("056", PEER_16),
    **_each("064 077 078", NOTICE),
    **_each(
        "067", "test_discharge.py::test_a_refused_profile_is_tried_in_other_shapes_and_what_worked_is_kept"
    ),
    **_each("073", PASSWORD),
    **_each("074", SIGN),
    **_each("085", PROFILE_1),
    **_each("086", PROFILE_2),
    **_each("087", PROFILE_3),
    **_each("088", HANDSHAKE),
}

V201: Final[dict[str, str]] = {
    **{f"{case}_CSMS": ASKED for case in octt_asked_201.V201},
    **_new("A_01 A_02 A_03", PROFILE_1),
    **_new("A_04 A_06", PROFILE_2),
    **_new("A_07 A_08", PROFILE_3),
    **_new("A_09", PASSWORD),
    **_new("A_10", "test_passwords.py::test_a_password_that_the_station_refuses_opens_nothing"),
    **_new("A_11 A_14", SIGN),
    **_new("B_01", DEFAULT),
    **_new("B_02", STORM),
    **_new(
        "B_30",
        "test_restart.py::test_while_its_boot_is_pending_a_station_may_say_nothing_but_what_it_is_asked_for",
    ),
    **_new(
        "B_31",
        "test_restart.py::test_a_boot_that_is_triggered_before_its_wait_is_over_is_taken_and_everything_is_heard",
    ),
    **_new("B_58", HANDSHAKE),
    **_new("C_02 C_06 C_07 C_08 C_20 E_16", TOKEN),
    **_new("C_39 C_47 C_48 C_49", GROUP),
    **_new(
        "C_50 C_52",
        "test_contracts.py::test_an_authorisation_by_contract_says_what_is_known_of_its_certificates",
    ),
    **_new(
        "C_51",
        "test_contracts.py::test_a_chain_that_does_not_hold_is_refused_and_one_to_nobody_is_not_judged",
    ),
    **_new(
        "E_01 E_02 E_03 E_04 E_07 E_08 E_09 E_10 E_11 E_12 E_14 E_15 E_17 E_19 E_20 E_22 E_26 E_38 E_39 E_53",
        SESSION_2,
    ),
    **_new("G_20 K_48 K_50 K_51 N_21 N_48 N_49 N_50 P_02 P_03", NOTICE),
    **_new("J_01 J_02 J_03 J_04 J_07 J_08 J_09 J_10 J_11", SESSION_2),
    **_new("K_01", DEFAULT),
    **_new("K_04 K_60", LEASE),
    **_new("K_06 K_08", CLEARED),
    **_new(
        "K_15", "test_strangers.py::test_a_station_without_smart_charging_is_asked_once_and_has_no_dead_man"
    ),
    **_new(
        "M_24", "test_contracts.py::test_what_the_responder_says_is_handed_on_and_kept_until_its_next_update"
    ),
    **_new("K_53 K_55 K_57 K_58 K_59", HIGH_LEVEL),
}

FINER: Final = "test_dynamic_profiles.py::test_a_setpoint_within_a_lease_is_an_update_and_the_lease_is_renewed_by_a_profile"
PULLED: Final = "test_dynamic_profiles.py::test_who_asks_is_told_what_is_wanted_while_the_lease_stands_and_rejected_afterwards"
SETPOINT: Final = "test_server.py::test_2_1_discharges_by_setpoint_and_forgets_the_lease_without_a_link"
TURNED: Final = (
    "test_dynamic_profiles.py::test_a_stop_and_a_turn_are_new_profiles_with_their_own_operation_mode"
)

V21: Final[dict[str, str]] = {
    **{f"{case}_CSMS": ASKED for case in octt_asked_21.V21},
    **{
        f"{case}_CSMS": "test_octt_asked.py::test_a_case_of_the_compliance_tool_is_listened_to"
        for case in octt_asked_21.SENT
    },
    **_new("E_117", LEASE),
    **_new("K_100 Q_108", SETPOINT),
    **_new("K_101 Q_107", TURNED),
    **_new("K_113 K_114", "test_v21.py::test_a_vehicle_may_plan_no_more_discharge_than_was_permitted"),
    **_new("K_115 K_117 Q_109", FINER),
    **_new("K_121 Q_110", PULLED),
    **_new("N_105", "test_v21.py::test_power_comes_as_a_stream"),
    **_new("Q_102", "test_v21.py::test_a_vehicle_that_may_feed_back_is_allowed_both_ways_and_told_once"),
    **_new("Q_121", "test_dynamic_profiles.py::test_a_droop_is_a_lease_that_ends_by_itself"),
    **_new("R_107", "test_v21.py::test_what_commissioning_has_set_is_read_back_and_compared"),
    **_new("R_108", "test_v21.py::test_a_der_alarm_is_a_fault_until_it_ends"),
}

NOT_21: Final[dict[str, str]] = {
    **_new(
        "B_100",
        "a station's password goes out by the operation new-password alone, so that the daemon knows it"
        " first",
    ),
    **_new(
        "C_103 C_104 C_108 C_113 C_117 C_118 C_119 C_120 C_125 C_126 C_131 C_132 C_133",
        "nobody pays at a depot's charger",
    ),
    **_new(
        "E_102 E_109 E_110 E_111",
        "what a vehicle may take is in its permits, not in a limit of the transaction",
    ),
    **_new("I_109", "no tariff is kept for a driver"),
    **_new("K_102 K_104 K_106 K_109 K_118 Q_111 Q_112 Q_117 Q_120 Q_124", BY_PERMIT),
    **_new(
        "K_126 Q_103",
        "a vehicle that may not feed back is told so and gets leases to charge; none is rejected",
    ),
    **_new("M_100", CONTRACTS),
    **_new("S_103", "batteries stay in their vehicles; BatterySwap is answered NotSupported"),
}

NOT: Final[dict[str, str]] = {
    **_new("A_12", "a certificate towards vehicles is for a V2G authority to sign; ours signs stations"),
    **_new("B_08", "the operation asks for one variable at a time, so no limit of items can be passed"),
    **_new("M_26 M_28", CONTRACTS),
    **_new("I_02", "no tariff is kept, so a transaction's end carries no total"),
    **_new("K_02 K_03 K_05 K_10 K_19 K_70", BY_PERMIT),
}
"""What does not apply, and why."""


def render() -> str:
    """The page."""
    lines = [
        "# OCPP compliance cases of a central system",
        "",
        (
            "Made by `python -m tests.field.ocpp.octt`. Each public case id of the Open Charge Alliance's"
            " tool, and the test in"
        ),
        "`tests/field/ocpp` that plays its messages. This is our own reading of the cases, no certificate.",
        "",
        (
            "A station that offers no version we speak gets 400 and no upgrade, as TC_088 and TC_B_58 want"
            " it; 1.6-J 3.2 would have"
        ),
        "the handshake completed and the link closed at once.",
    ]
    for title, cases, without in (
        ("OCPP 1.6", V16, {}),
        ("OCPP 2.0.1", V201, NOT),
        ("OCPP 2.1 adds", V21, NOT_21),
    ):
        rows = {case: f"`{test}`" for case, test in cases.items()} | {
            c: f"does not apply: {why}" for c, why in without.items()
        }
        lines += ["", f"## {title}: {len(cases)} of {len(rows)}", "", "| case | test |", "|---|---|"]
        lines += [f"| {case} | {rows[case]} |" for case in sorted(rows)]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    PAGE.write_text(render(), encoding="utf-8")
