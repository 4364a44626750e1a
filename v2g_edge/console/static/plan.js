// The day plan: money, power and prices, what its limits and promises cost, and what if a departure moves.

import { course, steps } from "./chart.js";
import { el } from "./dom.js";
import { table } from "./views.js";
import { clock, number, t } from "./words.js";

const said = (text, tag = "span", attributes = {}) => el(tag, { lang: "en", ...attributes }, text ?? "");
const fact = (key, value) => el("div", {}, el("dt", {}, t(key)), el("dd", {}, value));
const MONEY = ["energy", "export", "wear", "peaks"];
const DEAREST = 12;

export function page({ plan, report }, status, mayTry, tried) {
  const parts = [el("h1", { tabindex: "-1" }, t("plan"))];
  if (!plan) return [...parts, el("p", {}, t("plan.none"))];
  if (!report?.edges?.length) return [...parts, el("p", {}, t("plan.no_report", { source: plan.source }))];
  const { edges, site_kw: site, buy, sell, money, vehicles, warnings } = report;
  const name = new Map((status?.evses ?? []).map((evse) => [evse.id, evse.vehicle ?? evse.id]));
  parts.push(el("dl", { class: "facts" }, MONEY.map((key) => fact(`money.${key}`, number(money[key], 2)))), warnings.map((line) => said(line, "p", { class: "bad" })));
  if (site.length) parts.push(el("h2", {}, t("plan.power")), steps(t("plan.power"), edges, [{ name: "power", values: site, kind: "area" }], 0));
  if (buy.length) parts.push(el("h2", {}, t("plan.price")), steps(t("plan.price"), edges, [{ name: "price", values: buy, kind: "line" }], 2));
  const socs = (vehicles ?? []).filter((each) => each.soc_pct?.length);
  if (socs.length) parts.push(el("h2", {}, t("plan.soc")), course(`${t("soc")}, %`, socs.map((each) => ({ name: "planned-soc", times: edges.slice(1), values: each.soc_pct })), [0, 100], 0));
  const rows = edges.slice(0, -1).map((edge, i) => [clock(edge), number(site[i], 1), number(buy[i], 3), number(sell?.[i], 3)]);
  parts.push(el("details", {}, el("summary", {}, t("plan.table")), table(t("plan"), [t("from"), "kW", t("plan.price"), t("plan.sell")], rows)),
    promises(vehicles ?? [], name), shadows(report.prices ?? []), mayTry ? whatIf(status, tried, name) : null);
  return parts;
}

// What each departure is planned with, and what its last kWh costs the others and the bill.
function promises(vehicles, name) {
  if (!vehicles.length) return null;
  const rows = [...vehicles].sort((a, b) => (b.promise_per_kwh ?? 0) - (a.promise_per_kwh ?? 0)).map((each) => [el("a", { href: `#vehicle/${encodeURIComponent(each.evse)}` }, name.get(each.evse) ?? each.evse),
    clock(each.leaves_wall_s), clock(each.ready_wall_s), `${number(each.leaves_with_pct)} / ${number(each.target_pct)} %`, number(each.charged_kwh, 1), number(each.exported_kwh, 1),
    each.lacks_kwh > 0.05 ? el("strong", { class: "bad" }, number(each.lacks_kwh, 1)) : "–", number(each.promise_per_kwh, 3)]);
  return [table(t("plan.promises"), ["vehicle", "leaves", "ready", "plan.leaves_with", "money.in", "money.out", "plan.lacks", "plan.promise"].map((key) => t(key)), rows),
    el("p", {}, t("plan.promise.help"))];
}

// Which limits bind the plan, and what one more kW of each would be worth.
function shadows(prices) {
  if (!prices.length) return el("p", {}, t("plan.no_shadows"));
  return [table(t("plan.shadows"), ["plan.limit", "from", "to", "plan.worth"].map((key) => t(key)),
    prices.slice(0, DEAREST).map((each) => [said(`${each.kind} ${each.name}`), clock(each.from_wall_s), clock(each.until_wall_s), number(each.worth, 3)])),
    el("p", {}, t("plan.shadows.help"))];
}

function whatIf(status, tried, name) {
  const here = (status?.evses ?? []).filter((evse) => evse.vehicle);
  if (!here.length) return null;
  return el("section", { class: "card", "aria-labelledby": "what-if" }, el("h2", { id: "what-if" }, t("whatif")), el("p", {}, t("whatif.help")),
    el("form", { "data-form": "whatif" }, el("label", { for: "subject" }, t("vehicle")),
      el("select", { id: "subject", name: "subject" }, here.map((evse) => el("option", { value: evse.vehicle, selected: evse.vehicle === tried?.subject }, `${evse.vehicle}, ${t("leaves")} ${clock(evse.departure_wall_s)}`))),
      el("label", { for: "at" }, t("tonight.depart")), el("input", { id: "at", name: "at", type: "time", required: true, value: tried?.at }),
      el("label", { for: "soc" }, t("tonight.soc")), el("input", { id: "soc", name: "soc", type: "number", min: 0, max: 100, step: 1, value: tried?.soc }),
      el("p", { id: "fault", class: "bad", role: "alert" }), el("button", {}, t("whatif.reckon"))),
    tried?.answer ? outcome(tried.answer, name) : null);
}

function outcome({ text, breaks, costs, before, after, vehicles }, name) {
  const pair = (one, other) => (one === other ? one : `${one} → ${other}`);
  const rows = vehicles.map(({ evse, before: old, after: now }) => [name.get(evse) ?? evse, pair(clock(old.leaves_wall_s), clock(now.leaves_wall_s)), pair(clock(old.ready_wall_s), clock(now.ready_wall_s)),
    pair(`${number(old.leaves_with_pct)} %`, `${number(now.leaves_with_pct)} %`), pair(number(old.exported_kwh, 1), number(now.exported_kwh, 1)), pair(number(old.lacks_kwh, 1), number(now.lacks_kwh, 1))]);
  return el("div", { class: "outcome", role: "status" }, el("h3", {}, said(text)),
    el("p", {}, el("strong", {}, t(costs >= 0 ? "whatif.costs" : "whatif.saves", { n: number(Math.abs(costs), 2) }))),
    breaks.length ? el("div", {}, el("p", { class: "bad" }, t("ask.breaks")), el("ul", {}, breaks.map((line) => said(line, "li")))) : el("p", {}, t("ask.keeps")),
    el("dl", { class: "facts" }, [...MONEY, "total"].map((key) => fact(`money.${key}`, pair(number(before.money[key], 2), number(after.money[key], 2))))),
    rows.length ? table(t("whatif.vehicles"), ["vehicle", "leaves", "ready", "plan.leaves_with", "money.out", "plan.lacks"].map((key) => t(key)), rows) : el("p", {}, t("whatif.none")));
}
