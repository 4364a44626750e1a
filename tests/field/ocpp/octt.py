"""The public case ids of the Open Charge Alliance's compliance tool for a central system, and the test of ours that plays each.

1.6: "Test case document OCTT for OCPP 1.6", section 3 (system under test: central system). 2.0.1: core, advanced security and
smart charging cases as listed in public result tables. ``python -m tests.field.ocpp.octt`` writes docs/ocpp-octt.md.
"""

from pathlib import Path
from typing import Final

PAGE: Final = Path(__file__).parents[3] / "docs" / "ocpp-octt.md"

DEFAULT: Final = "test_server.py::test_a_booted_station_gets_the_time_then_its_safe_default_and_its_metering"
LEASE: Final = "test_server.py::test_a_permit_becomes_a_short_profile_whose_renewals_keep_the_id"
OPERATION: Final = "test_octt.py::test_what_the_station_answers_is_told"
SESSION: Final = "test_octt.py::test_a_session_of_1_6_in_every_order_is_taken"
SESSION_2: Final = "test_octt.py::test_a_session_of_2_0_1_in_every_order_is_taken"
TOKEN: Final = "test_octt.py::test_an_identifier_is_answered_as_the_token_file_says"
NOTICE: Final = "test_octt.py::test_every_notification_is_acknowledged"
LATE: Final = "test_octt.py::test_transactions_of_a_time_without_link_are_taken"
PASSWORD: Final = "test_passwords.py::test_both_passwords_open_until_the_new_one_is_used_then_only_the_new_one"
PROFILE_1: Final = "test_security.py::test_profile_1_wants_the_stations_own_name_and_password"
PROFILE_2: Final = "test_security.py::test_profile_2_offers_every_required_suite_with_an_ecdsa_and_an_rsa_certificate"
PROFILE_3: Final = "test_security.py::test_profile_3_takes_only_the_stations_own_unrevoked_certificate"
SIGN: Final = "test_security.py::test_a_station_renews_its_certificate_over_tls_and_gets_nobody_elses"
NOT_YET: Final = ""


def _each(names: str, test: str) -> dict[str, str]:
    return dict.fromkeys(names.split(), test)


V16: Final[dict[str, str]] = {
    **_each("TC_001", "test_server.py::test_1_6_counts_its_transactions_and_writes_one_schedule"),
    **_each("TC_003 TC_004_1 TC_004_2 TC_005_1 TC_007 TC_024", SESSION),
    **_each("TC_023_1 TC_023_2 TC_023_3", TOKEN),
    **_each("TC_010 TC_011_1 TC_011_2 TC_012 TC_013 TC_014 TC_017_1 TC_017_2 TC_018_1 TC_019_1 TC_019_2 TC_021", OPERATION),
    **_each("TC_026 TC_028 TC_040_1 TC_040_2 TC_042_1 TC_042_2 TC_043_1 TC_043_3 TC_043_4 TC_043_5 TC_061", OPERATION),
    **_each("TC_032_1 TC_037_1 TC_037_3 TC_039", LATE),
    **_each("TC_044_1 TC_044_2 TC_044_3 TC_045_1 TC_045_2 TC_046 TC_047 TC_048_1 TC_048_2 TC_048_3 TC_048_4 TC_049", OPERATION),
    **_each("TC_051 TC_052 TC_053 TC_054 TC_055 TC_066 TC_075_1 TC_075_2 TC_076 TC_079 TC_080 TC_083", OPERATION),
    **_each("TC_056", "test_peers.py::test_a_1_6_client_of_the_package_plays_a_whole_session"),
    **_each("TC_057", "test_server.py::test_1_6_counts_its_transactions_and_writes_one_schedule"),
    **_each("TC_064 TC_077 TC_078 TC_081", NOTICE),
    **_each("TC_067", "test_discharge.py::test_a_refused_profile_is_tried_in_other_shapes_and_what_worked_is_kept"),
    **_each("TC_074", SIGN),
    **_each("TC_073", PASSWORD),
    **_each("TC_085", PROFILE_1),
    **_each("TC_086", PROFILE_2),
    **_each("TC_087", PROFILE_3),
    **_each("TC_059", NOT_YET),
}

V201: Final[dict[str, str]] = {
    **_each("TC_A_01_CSMS TC_A_02_CSMS TC_A_03_CSMS", PROFILE_1),
    **_each("TC_A_04_CSMS TC_A_06_CSMS", PROFILE_2),
    **_each("TC_A_07_CSMS TC_A_08_CSMS", PROFILE_3),
    **_each("TC_A_09_CSMS TC_A_10_CSMS", PASSWORD),
    **_each("TC_A_19_CSMS", OPERATION),
    **_each("TC_A_11_CSMS TC_A_12_CSMS TC_A_14_CSMS", SIGN),
    **_each("TC_B_01_CSMS", DEFAULT),
    **_each("TC_B_02_CSMS", "test_restart.py::test_in_a_storm_of_boots_the_last_wait_each_a_while_and_are_then_taken"),
    **_each("TC_B_30_CSMS TC_B_31_CSMS", NOT_YET),
    **_each("TC_B_06_CSMS TC_B_07_CSMS TC_B_09_CSMS TC_B_10_CSMS TC_B_12_CSMS TC_B_13_CSMS TC_B_20_CSMS TC_B_21_CSMS", OPERATION),
    **_each("TC_B_22_CSMS TC_B_25_CSMS TC_B_26_CSMS TC_B_27_CSMS TC_B_42_CSMS TC_B_44_CSMS", OPERATION),
    **_each("TC_C_02_CSMS TC_C_06_CSMS TC_C_07_CSMS TC_C_08_CSMS TC_C_20_CSMS TC_E_16_CSMS", TOKEN),
    **_each("TC_C_37_CSMS TC_C_38_CSMS", OPERATION),
    **_each("TC_C_39_CSMS TC_C_47_CSMS TC_C_48_CSMS TC_C_49_CSMS", NOT_YET),
    **_each("TC_E_01_CSMS TC_E_02_CSMS TC_E_03_CSMS TC_E_04_CSMS TC_E_07_CSMS TC_E_08_CSMS TC_E_09_CSMS TC_E_10_CSMS", SESSION_2),
    **_each("TC_E_11_CSMS TC_E_12_CSMS TC_E_14_CSMS TC_E_15_CSMS TC_E_17_CSMS TC_E_19_CSMS TC_E_20_CSMS TC_E_21_CSMS", SESSION_2),
    **_each("TC_E_22_CSMS TC_E_26_CSMS TC_E_38_CSMS TC_E_39_CSMS TC_E_53_CSMS", SESSION_2),
    **_each("TC_E_29_CSMS TC_E_30_CSMS TC_E_31_CSMS TC_E_33_CSMS TC_E_34_CSMS", OPERATION),
    **_each("TC_F_01_CSMS TC_F_02_CSMS TC_F_03_CSMS TC_F_04_CSMS TC_F_06_CSMS TC_F_11_CSMS TC_F_12_CSMS TC_F_13_CSMS", OPERATION),
    **_each("TC_F_14_CSMS TC_F_15_CSMS TC_F_18_CSMS TC_F_20_CSMS TC_F_23_CSMS TC_F_24_CSMS TC_F_27_CSMS", OPERATION),
    **_each("TC_G_03_CSMS TC_G_04_CSMS TC_G_05_CSMS TC_G_06_CSMS TC_G_07_CSMS TC_G_08_CSMS TC_G_11_CSMS TC_G_14_CSMS", OPERATION),
    **_each("TC_G_17_CSMS", OPERATION),
    **_each("TC_G_20_CSMS", NOTICE),
    **_each("TC_J_01_CSMS TC_J_02_CSMS TC_J_03_CSMS TC_J_04_CSMS TC_J_07_CSMS TC_J_08_CSMS TC_J_09_CSMS TC_J_10_CSMS", SESSION_2),
    **_each("TC_J_11_CSMS", SESSION_2),
    **_each("TC_K_01_CSMS", LEASE),
    **_each("TC_L_01_CSMS TC_L_02_CSMS TC_L_03_CSMS TC_L_10_CSMS TC_L_11_CSMS", OPERATION),
    **_each("TC_L_04_CSMS TC_L_05_CSMS TC_L_06_CSMS TC_L_07_CSMS TC_L_08_CSMS TC_L_09_CSMS TC_L_13_CSMS", NOTICE),
    **_each("TC_M_01_CSMS TC_M_02_CSMS TC_M_05_CSMS TC_M_13_CSMS TC_M_18_CSMS TC_M_19_CSMS TC_M_20_CSMS TC_M_21_CSMS", OPERATION),
    **_each("TC_N_25_CSMS TC_N_27_CSMS TC_N_28_CSMS TC_N_29_CSMS TC_N_30_CSMS TC_N_31_CSMS TC_N_32_CSMS TC_N_34_CSMS", OPERATION),
    **_each("TC_N_35_CSMS TC_N_36_CSMS TC_N_62_CSMS", OPERATION),
    **_each("TC_P_02_CSMS TC_P_03_CSMS", NOTICE),
}


def render() -> str:
    """The page."""
    lines = [
        "# OCPP compliance cases of a central system",
        "",
        "Made by `python -m tests.field.ocpp.octt`. Each public case id of the Open Charge Alliance's tool, and the test in",
        "`tests/field/ocpp` that plays its messages. This is our own reading of the case names, no certificate.",
    ]
    for title, cases in (("OCPP 1.6", V16), ("OCPP 2.0.1", V201)):
        played = sum(bool(test) for test in cases.values())
        lines += ["", f"## {title}: {played} of {len(cases)}", "", "| case | test |", "|---|---|"]
        lines += [f"| {case} | {f'`{cases[case]}`' if cases[case] else 'not played'} |" for case in sorted(cases)]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    PAGE.write_text(render(), encoding="utf-8")
