// Where power comes from and where it goes, as two bars of one length, and the power of each charger about 0.

import { el } from "./dom.js";
import { clock, kilowatts, number, t } from "./words.js";

const WIDTH = 1000;

// Powers in W from measured values; null where the grid is not measured.
export function balance(status) {
  const powers = status.evses.map((evse) => evse.power_w ?? 0);
  const charging = powers.reduce((all, power) => all + Math.max(power, 0), 0);
  const giving = powers.reduce((all, power) => all + Math.max(-power, 0), 0);
  const grid = status.grid.power_w;
  if (grid === null || grid === undefined) return { charging, giving, building: null, from: [], to: [] };
  const building = Math.max(grid + giving - charging, 0);
  return { charging, giving, building,
    from: [["grid", Math.max(grid, 0)], ["gives", giving]], to: [["charges", charging], ["export", Math.max(-grid, 0)], ["building", building]] };
}

function bar(key, parts, whole) {
  let at = 0;
  const bars = parts.map(([name, power]) => {
    const width = (power / whole) * WIDTH;
    at += width;
    return el("svg:rect", { x: (at - width).toFixed(1), width: Math.max(width - 3, 0).toFixed(1), height: 26, rx: 3, class: `flow-${name}` });
  });
  const shares = parts.filter(([, power]) => power >= 50).map(([name, power]) =>
    el("li", {}, el("svg:svg", { viewBox: "0 0 10 10", class: "swatch", "aria-hidden": "true" }, el("svg:rect", { width: 10, height: 10, rx: 2, class: `flow-${name}` })),
      t(`flow.${name}`), " ", el("strong", {}, `${kilowatts(power)} kW`)));
  return el("div", {}, el("h3", {}, t(key)),
    el("svg:svg", { viewBox: `0 0 ${WIDTH} 26`, preserveAspectRatio: "none", class: "flow", "aria-hidden": "true" }, bars), el("ul", { class: "shares" }, shares));
}

export function flow(status) {
  const { from, to } = balance(status);
  const sum = (parts) => parts.reduce((all, [, power]) => all + power, 0);
  const whole = Math.max(sum(from), sum(to), 1);
  if (!from.length) return el("p", {}, t("flow.unknown"));
  return el("section", { class: "card", "aria-labelledby": "flow" }, el("h2", { id: "flow" }, t("flow")), bar("flow.from", from, whole), bar("flow.to", to, whole));
}

// A charger's power: to the right it takes, to the left it gives.
export function about0(power, most) {
  const width = Math.min(Math.abs(power ?? 0) / (most || 1), 1) * 48;
  return el("svg:svg", { viewBox: "0 0 100 10", preserveAspectRatio: "none", class: "about0", "aria-hidden": "true" },
    el("svg:rect", { width: 100, height: 10, rx: 2, class: "empty" }),
    el("svg:rect", { x: (power < 0 ? 50 - width : 50).toFixed(1), width: width.toFixed(1), height: 10, class: power < 0 ? "flow-gives" : "flow-charges" }),
    el("svg:rect", { x: 49.7, width: 0.6, height: 10, class: "mark" }));
}

// How full a feeder is: what is held of its limit.
export function filled(held, limit) {
  const share = limit > 0 ? Math.max(0, Math.min(1, held / limit)) : 0;
  return el("svg:svg", { viewBox: "0 0 100 10", preserveAspectRatio: "none", class: "about0", "aria-hidden": "true" },
    el("svg:rect", { width: 100, height: 10, rx: 2, class: "empty" }),
    el("svg:rect", { width: (share * 100).toFixed(1), height: 10, rx: 2, class: share > 0.9 ? "flow-full" : "flow-charges" }));
}

// The night in a few figures: what a screen across the room must show.
export function tiles(status, isLate) {
  const there = status.evses.filter((evse) => evse.vehicle !== null);
  const ready = there.filter((evse) => !isLate(evse)).length;
  const next = there.filter((evse) => evse.departure_wall_s !== null).sort((a, b) => a.departure_wall_s - b.departure_wall_s)[0];
  const { charging, giving } = balance(status);
  const tile = (key, value, note, kind = "") => el("div", { class: `tile ${kind}` }, el("dt", {}, t(key)), el("dd", {}, value, note ? el("small", {}, note) : null));
  return el("dl", { class: "tiles" },
    tile("tile.ready", `${number(ready)} / ${number(there.length)}`, t(ready === there.length ? "tile.all" : "tile.short", { n: number(there.length - ready) }), ready < there.length ? "bad" : "ok"),
    next ? tile("tile.next", clock(next.departure_wall_s), next.vehicle) : null,
    tile("tile.charging", `${kilowatts(charging)} kW`), tile("tile.giving", `${kilowatts(giving)} kW`, null, giving > 0 ? "gives" : ""),
    tile("grid", `${kilowatts(status.grid.power_w)} kW`));
}
