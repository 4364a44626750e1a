"""Vehicles, tick by tick: stays, cycles, time at high and low charge, temperatures."""

from typing import Final

from msgspec import Struct

from v2g_edge.model.reading import Measured, Reading
from v2g_edge.model.snapshot import VehicleState
from v2g_edge.study.ledger.lines import Remark, SocCycle, Stay, VehicleAccount
from v2g_edge.study.wear.rainflow import Rainflow

HIGH_PCT: Final = 90.0
LOW_PCT: Final = 10.0
"""Time above and below is what warranties and calendar wear ask about."""


class Known(Struct, array_like=True):
    """A vehicle: its account and its count of cycles."""

    account: VehicleAccount
    count: Rainflow


class VehicleAccounts(Struct, array_like=True):
    """All vehicles and present stays. ``here``: by outlet. ``gone``: stays that have ended, to be kept."""

    vehicles: dict[str, Known] = {}
    here: dict[str, Stay] = {}
    gone: list[Stay] = []
    turns: list[SocCycle] = []

    def see(self, meter: str, vehicle: VehicleState | None, passed_s: float, wall_s: float) -> list[Remark]:
        """Take one tick of an outlet."""
        stay, remarks = self.here.get(meter), list[Remark]()
        if stay is not None and (vehicle is None or vehicle.session != stay.session):
            remarks = self._left(meter, stay, wall_s)
            stay = None
        if vehicle is None:
            return remarks
        if stay is None:
            stay = self.here[meter] = Stay(
                vehicle.session, meter, vehicle.vehicle, vehicle.plugged_wall_s or wall_s
            )
        stay.vehicle = vehicle.vehicle or stay.vehicle
        soc_pct = value_of(vehicle.soc_pct)
        _note(stay, vehicle, soc_pct)
        if vehicle.vehicle:
            self.account(vehicle, soc_pct, passed_s, wall_s)
        return remarks

    def _left(self, meter: str, stay: Stay, wall_s: float) -> list[Remark]:
        del self.here[meter]
        stay.left_wall_s = wall_s
        self.gone.append(stay)
        if stay.first_pct is not None:
            return []
        text = "no state of charge in the whole stay; its cycles and depth are not counted"
        return [Remark(stay.arrived_wall_s, wall_s, stay.vehicle or meter, "no_soc", text)]

    def account(self, vehicle: VehicleState, soc_pct: float | None, passed_s: float, wall_s: float) -> None:
        """A vehicle's life: time, SoC, cycles, temperatures."""
        known = self.vehicles.get(vehicle.vehicle)
        if known is None:
            account = VehicleAccount(vehicle.vehicle, first_wall_s=wall_s)
            known = self.vehicles[vehicle.vehicle] = Known(account, Rainflow())
        account = known.account
        account.last_wall_s = wall_s
        account.plugged_s += passed_s
        pack_c = value_of(vehicle.pack_c)
        if pack_c is not None:
            account.warmth_ks += pack_c * passed_s
            account.warm_s += passed_s
            account.least_c = pack_c if account.least_c is None else min(account.least_c, pack_c)
            account.most_c = pack_c if account.most_c is None else max(account.most_c, pack_c)
        soh_pct = value_of(vehicle.soh_pct)
        if soh_pct is not None:
            account.soh_pct = soh_pct
            account.first_soh_pct = soh_pct if account.first_soh_pct is None else account.first_soh_pct
        if soc_pct is None:
            return
        account.soc_s += passed_s
        account.soc_integral += soc_pct * passed_s
        account.high_s += passed_s if soc_pct > HIGH_PCT else 0.0
        account.low_s += passed_s if soc_pct < LOW_PCT else 0.0
        if account.soc_pct != soc_pct:
            account.throughput_pct += abs(soc_pct - account.soc_pct) if account.soc_pct is not None else 0.0
            account.soc_pct = soc_pct
            self.turns += [
                SocCycle(vehicle.vehicle, wall_s, each.depth, each.mean, each.count, account.mean_c)
                for each in known.count.add(soc_pct)
            ]


def _note(stay: Stay, vehicle: VehicleState, soc_pct: float | None) -> None:
    """What the stay is remembered by."""
    target_pct, departure_s = value_of(vehicle.target_soc_pct), value_of(vehicle.departure_wall_s)
    stay.target_pct = target_pct if target_pct is not None else stay.target_pct
    stay.departure_wall_s = departure_s if departure_s is not None else stay.departure_wall_s
    capacity_wh = value_of(vehicle.capacity_wh)
    stay.capacity_wh = capacity_wh if capacity_wh is not None else stay.capacity_wh
    pack_c = value_of(vehicle.pack_c)
    if pack_c is not None:
        stay.warmest_c = pack_c if stay.warmest_c is None else max(stay.warmest_c, pack_c)
    if soc_pct is None:
        return
    if stay.first_pct is None:
        stay.first_pct = stay.high_pct = soc_pct
    stay.last_pct = soc_pct
    stay.high_pct = max(stay.high_pct, soc_pct)
    stay.deepest_pct = max(stay.deepest_pct, stay.high_pct - soc_pct)


def value_of(measured: Measured) -> float | None:
    """The number, or None where there is none."""
    return measured.value if isinstance(measured, Reading) else None
