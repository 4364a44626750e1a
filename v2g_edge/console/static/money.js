// A past night in energy and money: what each vehicle took and gave, what it cost, and what was not earned.

import { el } from "./dom.js";
import { table } from "./views.js";
import { clock, number, t } from "./words.js";

const said = (text, tag = "span", attributes = {}) => el(tag, { lang: "en", ...attributes }, text ?? "");
const fact = (key, value) => el("div", {}, el("dt", {}, t(key)), el("dd", {}, value));
const kwh = (wh) => number(wh / 1000, 1);

export function page(night, evening) {
  const parts = [el("h1", { tabindex: "-1" }, t("money")),
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
  const held = Object.entries(night.held).filter(([, each]) => each.export_wh > 0).sort(([, a], [, b]) => b.export_wh - a.export_wh);
  parts.push(held.length ? table(t("money.held"), [t("rule"), "kWh"], held.map(([rule, each]) => [said(rule), kwh(each.export_wh)]))
    : el("p", {}, t("money.nothing_held")));
  return parts;
}
