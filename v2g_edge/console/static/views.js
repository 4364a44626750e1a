// The pages. Each gives elements; what the daemon itself says stays in its English.

import { bar, course, steps } from "./chart.js";
import { el } from "./dom.js";
import { about0, filled, flow, tiles } from "./flow.js";
import { clock, kilowatts, number, t } from "./words.js";

const said = (text, tag = "span", attributes = {}) => el(tag, { lang: "en", ...attributes }, text ?? "");
const fact = (key, value, name = "") => el("div", { class: name }, el("dt", {}, t(key)), el("dd", {}, value));
const heading = (key) => el("h1", { tabindex: "-1" }, t(key));
const button = (act, text, more = {}) => el("button", { type: "button", "data-do": act, ...more }, text);

export function table(caption, heads, rows) {
  const head = el("tr", {}, heads.map((text) => el("th", { scope: "col" }, text)));
  const body = rows.map((row) => el("tr", {}, row.map((cell) => el("td", {}, cell))));
  return el("div", { class: "wide", tabindex: "0", role: "region", "aria-label": caption },
    el("table", {}, el("caption", {}, caption), el("thead", {}, head), el("tbody", {}, body)));
}

const isLate = (evse) => evse.soc_pct !== null && evse.departure_wall_s !== null
  && (evse.ready_wall_s === null || evse.ready_wall_s === undefined || evse.ready_wall_s > evse.departure_wall_s);

// 0 is worst: a promise that fails, then what is at risk or not heard, then the rest by departure.
const rank = (evse) => (isLate(evse) ? 0 : evse.risks.length ? 1 : evse.connected ? 3 : 2);

export function worstFirst(evses) {
  const leaves = (evse) => evse.departure_wall_s ?? Infinity;
  return [...evses].sort((a, b) => rank(a) - rank(b) || leaves(a) - leaves(b) || a.id.localeCompare(b.id));
}

export function orders(status, mayOrder) {
  const { stop, export_hold: hold } = status.operator;
  return el("section", { class: "orders", "aria-label": t("orders") },
    stop ? el("p", { class: "standing" }, t("orders.stop_stands")) : null,
    hold ? el("p", { class: "standing" }, t("orders.hold_stands")) : null,
    mayOrder ? el("p", {},
      stop ? null : button("stop", t("orders.stop"), { class: "danger" }),
      hold ? null : button("hold", t("orders.hold")),
      stop || hold ? button("release", t("orders.release")) : null) : null);
}

function need(each, mayOrder) {
  const retry = mayOrder && each.kind === "disobedient";
  return el("li", { class: each.waits ? "waits" : "bad" },
    el("strong", {}, each.subjects.join(", ")), ": ", said(each.text),
    each.since_wall_s === null ? null : ` (${t("since", { time: clock(each.since_wall_s) })})`,
    each.remedy ? el("p", {}, t("remedy"), " ", said(each.remedy)) : null,
    retry ? each.subjects.map((name) => button("retry", t("orders.retry", { name }), { "data-name": name })) : null);
}

function vehicle(evse, wallS) {
  const late = isLate(evse);
  const ready = late ? t("not_ready") : evse.ready_wall_s !== null && evse.ready_wall_s <= wallS ? t("now") : clock(evse.ready_wall_s);
  const state = late || evse.risks.length ? "bad" : evse.connected ? "ok" : "waits";
  const goal = evse.target_soc_pct === null ? null : evse.target_soc_pct / 100;
  return el("li", { class: `vehicle ${state}`, "data-key": evse.id },
    el("h2", {}, el("a", { href: `#vehicle/${encodeURIComponent(evse.id)}` }, evse.vehicle ?? t("unknown_vehicle")), " ",
      el("small", {}, evse.connected ? evse.id : `${evse.id}, ${t("silent")}`)),
    el("dl", {},
      fact("soc", `${number(evse.soc_pct)} → ${number(evse.target_soc_pct)} %`),
      fact("leaves", clock(evse.departure_wall_s)), fact("ready", ready, late ? "late" : ""), fact("power", `${evse.power_w > 50 ? "▲ " : evse.power_w < -50 ? "▼ " : ""}${kilowatts(evse.power_w)} kW`, `power ${evse.power_w < -50 ? "gives" : ""}`)),
    evse.soc_pct === null ? null : bar(evse.soc_pct / 100, goal), said(evse.why, "p", { class: "why" }));
}

// Orders for tonight that stand, each with its end and, for those who may, a way back.
export function standing(list, mayOrder) {
  if (!list?.length) return null;
  return el("section", { "aria-labelledby": "standing" }, el("h2", { id: "standing" }, t("standing")),
    el("ul", { class: "needs" }, list.map((each) => el("li", { class: "waits", "data-key": `order-${each.number}` }, said(each.text),
      mayOrder ? button("undo", t("undo"), { "data-number": each.number, "aria-label": `${t("undo")}: ${each.text}` }) : null))));
}

export function tonight(status, mayOrder) {
  const there = worstFirst(status.evses.filter((evse) => evse.vehicle !== null));
  const empty = status.evses.filter((evse) => evse.vehicle === null);
  const needs = status.attention ?? [];
  return [heading("tonight"), tiles(status, isLate), orders(status, mayOrder),
    el("section", { "aria-labelledby": "needs" }, el("h2", { id: "needs" }, t("needs", { n: number(needs.length) })),
      needs.length ? el("ul", { class: "needs" }, needs.map((each) => need(each, mayOrder))) : el("p", {}, t("needs.none"))),
    standing(status.orders, mayOrder),
    el("ul", { class: "vehicles", "aria-label": t("vehicles") }, there.map((evse) => vehicle(evse, status.wall_s))),
    empty.length ? el("p", {}, t("empty"), " ", empty.map((evse) => evse.id).join(", ")) : null];
}

export function depot(status, mayOrder) {
  const most = Math.max(...status.evses.map((evse) => Math.abs(evse.power_w ?? 0)), 10_000);
  const rows = status.evses.map((evse) => [el("a", { href: `#vehicle/${encodeURIComponent(evse.id)}` }, evse.id),
    evse.connected ? said(evse.status) : t("silent"), evse.vehicle ?? "–", about0(evse.power_w, most), kilowatts(evse.power_w), kilowatts(evse.permit_w), said(evse.source)]);
  const relay = status.grid.relay_closed;
  return [heading("depot"), orders(status, mayOrder),
    el("dl", { class: "facts" },
      fact("grid", `${kilowatts(status.grid.power_w)} kW`), fact("frequency", `${number(status.grid.frequency_hz, 2)} Hz`),
      fact("relay", t(relay === null ? "relay.unknown" : relay ? "relay.closed" : "relay.open")),
      fact("plan", status.plan ? t("plan.until", { time: clock(status.plan.until_wall_s) }) : t("plan.none"))),
    flow(status),
    status.feeders?.length ? table(t("feeders"), ["feeder", "full", "measured", "limit", "held", "free"].map((key) => t(key)),
      status.feeders.map((each) => [el("a", { href: `#why/${encodeURIComponent(each.id)}` }, each.id), filled(each.held_w, each.import_limit_w), kilowatts(each.power_w),
        kilowatts(each.import_limit_w), kilowatts(each.held_w), kilowatts(each.free_w)])) : null,
    table(t("chargers"), ["outlet", "status", "vehicle", "power.bar", "power", "permit", "binds"].map((key) => t(key)), rows)];
}

export function why(status, asked, answer, fault) {
  const names = status ? [...new Set(status.evses.flatMap((evse) => [evse.vehicle, evse.id]))].filter(Boolean) : [];
  const limits = (outlet) => table(t("limits_of", { name: outlet.evse }), ["rule", "from", "to", "source"].map((key) => t(key)),
    outlet.limits.map((limit) => [said(`${limit.binds ? "► " : ""}${limit.rule}`), kilowatts(limit.min_w), kilowatts(limit.max_w), said(limit.source)]));
  return [heading("why"),
    el("form", { "data-form": "why" }, el("label", { for: "subject" }, t("why.name")),
      el("input", { id: "subject", name: "subject", value: asked, list: "names", autocomplete: "off", required: true }),
      el("datalist", { id: "names" }, [...names, "export"].map((name) => el("option", { value: name }))), el("button", {}, t("why.ask"))),
    fault ? said(fault, "p", { class: "bad", role: "alert" }) : null,
    answer ? el("section", {}, el("h2", {}, `${answer.name}, ${clock(answer.wall_s, { seconds: true })}`),
      answer.answer.map((sentence) => said(sentence, "p")), answer.outlets.map(limits)) : null];
}

const SEVERITIES = ["warning", "alarm", "trip"];

// Each trip with the meter's samples around it, as the network operator asks for them; the newest is open.
function trips(list, playbook) {
  if (!list.length) return null;
  return el("section", { class: "card", "aria-labelledby": "trips" }, el("h2", { id: "trips" }, t("trips")), list.map((trip, i) => {
    const { wall_s: times, hz, v } = trip.samples;
    return el("details", { open: i === 0 }, el("summary", {}, clock(trip.wall_s, { seconds: true, day: true }), " ", said(`${trip.row}: ${trip.text}`)),
      playbook[trip.row] ? said(playbook[trip.row][1], "p") : null,
      times.length > 1 ? el("div", { class: "pair" }, course(`${t("frequency")}, Hz`, [{ name: "measured", times, values: hz }], null, 2, trip.wall_s),
        course(`${t("voltage")}, V`, v.map((values, phase) => ({ name: `measured phase${phase + 1}`, times, values })), null, 0, trip.wall_s)) : el("p", {}, t("trips.no_samples")));
  }));
}

export function events(answer, playbook, { trips: tripped }) {
  const rows = [...answer.events].reverse().slice(0, 200).map((event) => [clock(event.wall_s, { seconds: true, day: true }),
    t(`severity.${event.severity}`), event.subject, said(event.kind), remedy(event, playbook)]);
  return [heading("events"), trips(tripped, playbook), rows.length ? table(t("events"), ["time", "severity", "subject", "event", "text"].map((key) => t(key)), rows)
    : el("p", {}, t("events.none"))];
}

// What the event says; for one that asks for a person, what it means and what to do.
function remedy(event, playbook) {
  const entry = playbook[event.kind];
  if (!entry || !SEVERITIES.includes(event.severity)) return said(event.text);
  return [said(event.text), el("details", {}, el("summary", {}, t("remedy")), said(entry[0], "p"), said(entry[1], "p"))];
}

export function field(name, type, autocomplete) {
  return [el("label", { for: name }, t(name)), el("input", { id: name, name, type, autocomplete, required: true })];
}

export function login(claims, { certificate, proxy }) {
  const form = claims ? [field("code", "text", "one-time-code"), field("name", "text", "username"), field("password", "password", "new-password")]
    : [field("name", "text", "username"), field("password", "password", "current-password")];
  return [heading(claims ? "claim" : "login"), el("form", { "data-form": claims ? "claim" : "login" },
    claims ? el("p", {}, t("claim.help")) : null, form, el("p", { id: "fault", class: "bad", role: "alert" }), el("button", {}, t(claims ? "claim" : "login"))),
    certificate && !claims ? el("p", {}, button("certificate", t("login.certificate", { name: certificate }))) : null,
    proxy ? el("p", {}, button("proxy", t("login.proxy", { name: proxy }))) : null,
    el("p", {}, el("a", { href: claims ? "#login" : "#claim" }, t(claims ? "login.instead" : "claim.instead")))];
}

export function order(kind, status, name) {
  const now = status.evses.map((evse) => evse.power_w ?? 0);
  const sum = (sign) => kilowatts(now.reduce((all, power) => all + Math.max(sign * power, 0), 0));
  const values = { n: number(status.evses.length), charging: sum(1), exporting: sum(-1), name };
  return [el("h2", { id: "ask-title" }, t(`ask.${kind}`, values)), el("p", {}, t(`ask.${kind}.then`, values)),
    el("form", { "data-form": "order" }, el("label", { for: "reason" }, t("reason")), el("input", { id: "reason", name: "reason", maxlength: "200", required: true }),
      el("p", { id: "fault", class: "bad", role: "alert" }), el("p", {}, el("button", { class: "danger" }, t("confirm")), button("cancel", t("cancel"))))];
}

export function account() {
  return [heading("account"), el("h2", {}, t("password.own")),
    el("form", { "data-form": "password" },
      el("label", { for: "old" }, t("password.old")), el("input", { id: "old", name: "old", type: "password", autocomplete: "current-password", required: true }),
      el("label", { for: "new" }, t("password.new")), el("input", { id: "new", name: "new", type: "password", autocomplete: "new-password", minlength: 12, required: true }),
      el("p", { id: "fault", class: "bad", role: "alert" }), el("button", {}, t("password.save")))];
}
