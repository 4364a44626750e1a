// What some days earned, by service, vehicle and day; then one night: what each vehicle took and gave, what it cost,
// and what was not earned and why.

import { el } from "./dom.js";
import { table } from "./views.js";
import { clock, day, number, t } from "./words.js";

const said = (text, tag = "span", attributes = {}) => el(tag, { lang: "en", ...attributes }, text ?? "");
const fact = (key, value) => el("div", {}, el("dt", {}, t(key)), el("dd", {}, value));
const kwh = (wh) => number(wh / 1000, 1);
const date = (name, value) => [el("label", { for: name }, t(`money.${name}`)), el("input", { id: name, name, type: "date", value, required: true })];
const DAYS = 30;

// The days that are shown without a choice: the last thirty of the site.
export function span(status, [, since, until]) {
  const now = status?.wall_s ?? Date.now() / 1000;
  return { since: since || day(now - DAYS * 86400), until: until || day(now + 86400) };
}

export function page(night, earned, [evening], chosen) {
  return [el("h1", { tabindex: "-1" }, t("money")), days(earned, chosen), ...past(night, evening ?? "")];
}

function days(earned, { since, until }) {
  const parts = [el("h2", { id: "days" }, t("money.days")),
    el("form", { "data-form": "days" }, date("since", since), date("until", until), el("button", {}, t("money.show")))];
  if (earned.none) parts.push(el("p", {}, t("money.no_ledger"), " ", said(earned.none)));
  else parts.push(...sums(earned, since, until));
  return el("section", { "aria-labelledby": "days" }, parts);
}

function sums(earned, since, until) {
  const { by, currency } = earned;
  const money = (value) => `${number(value, 2)} ${currency}`.trim();
  const total = (key) => by.service.reduce((all, row) => all + row[key], 0);
  const net = (row) => row.earned - row.wear - row.paid;
  const heads = ["money.in", "money.out", "money.earned", "money.wear", "money.paid", "money.left"].map((key) => t(key));
  const rows = (key, name) => by[key].map((row) => [name(row[key]), number(row.in_kwh, 1), number(row.out_kwh, 1), number(row.earned, 2), number(row.wear, 2), number(row.paid, 2), number(net(row), 2)]);
  const unpriced = total("unpriced_kwh");
  return [el("p", {}, `${clock(earned.from_wall_s, { day: true })} – ${clock(earned.until_wall_s, { day: true })}`),
    el("dl", { class: "tiles" }, ["earned", "wear", "paid"].map((key) => el("div", { class: "tile" }, el("dt", {}, t(`money.${key}`)), el("dd", {}, money(total(key))))),
      el("div", { class: "tile" }, el("dt", {}, t("money.left")), el("dd", {}, money(by.service.reduce((all, row) => all + net(row), 0))))),
    el("p", {}, t("money.wear_by"), " ", said(earned.wear)),
    unpriced > 0.05 ? el("p", { class: "bad" }, t("money.unpriced", { n: number(unpriced, 1) })) : null,
    table(t("money.by_service"), [t("money.service"), ...heads], rows("service", (name) => said(name))),
    table(t("money.by_vehicle"), [t("vehicle"), ...heads], rows("vehicle", (name) => name)),
    el("details", {}, el("summary", {}, t("money.by_day")), table(t("money.by_day"), [t("money.day"), ...heads], rows("day", (name) => name).reverse())),
    el("p", {}, el("a", { href: `/api/money/csv?since=${since}&until=${until}`, download: "money.csv" }, "CSV"))];
}

function past(night, evening) {
  const parts = [el("h2", {}, t("money.night")),
    el("form", { "data-form": "night" }, el("label", { for: "evening" }, t("money.evening")),
      el("input", { id: "evening", name: "evening", type: "date", value: evening, required: true }), el("button", {}, t("money.show")))];
  if (night.none) return [...parts, said(night.none, "p")];
  const sum = (key) => night.stays.reduce((all, stay) => all + stay[key], 0);
  const left = night.stays.filter((stay) => stay.left_wall_s !== null);
  const ready = left.filter((stay) => !stay.lacked_pct);
  parts.push(el("p", {}, `${clock(night.from_wall_s, { day: true })} – ${clock(night.until_wall_s, { day: true })}`),
    el("dl", { class: "facts" }, fact("money.ready", `${number(ready.length)} / ${number(left.length)}`),
      fact("money.in", `${kwh(sum("in_wh"))} kWh`), fact("money.out", `${kwh(sum("out_wh"))} kWh`),
      night.priced ? fact("money.paid", number(sum("cost") + sum("earned"), 2)) : null,
      night.priced ? fact("money.earned", number(sum("earned"), 2)) : null,
      night.priced ? fact("money.net", number(sum("cost"), 2)) : null),
    night.priced ? null : el("p", {}, t("money.no_prices")));
  const heads = ["vehicle", "outlet", "soc", "leaves", "money.in", "money.out", ...(night.priced ? ["money.net"] : [])];
  parts.push(table(t("vehicles"), heads.map((key) => t(key)), night.stays.map((stay) => [stay.vehicle || t("unknown_vehicle"), stay.outlet,
    `${number(stay.first_pct)} → ${number(stay.last_pct)} / ${number(stay.target_pct)} %`, clock(stay.left_wall_s), kwh(stay.in_wh), kwh(stay.out_wh),
    ...(night.priced ? [number(stay.cost, 2)] : [])])));
  const services = Object.entries(night.services ?? {});
  if (services.length) parts.push(table(`${t("money.by_service")}, ${t("money.night")}`, ["money.service", "money.in", "money.out", ...(night.priced ? ["money.earned", "money.paid"] : [])].map((key) => t(key)),
    services.map(([name, each]) => [said(name), kwh(each.in_wh), kwh(each.out_wh), ...(night.priced ? [number(each.earned, 2), number(each.paid, 2)] : [])])));
  const held = Object.entries(night.held).filter(([, each]) => each.export_wh > 0).sort(([, a], [, b]) => b.export_wh - a.export_wh);
  const why = (rule, each) => [said(each.says || rule), each.remedy ? el("p", {}, t("remedy"), " ", said(each.remedy)) : null];
  parts.push(held.length ? table(t("money.held"), [t("money.why"), "kWh", ...(night.priced ? [t("money.missed")] : [])],
    held.map(([rule, each]) => [el("div", {}, why(rule, each)), kwh(each.export_wh), ...(night.priced ? [number(each.missed ?? 0, 2)] : [])]))
    : el("p", {}, t("money.nothing_held")));
  return parts;
}
