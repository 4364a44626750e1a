// One vehicle: what it does and why, its course and its plan, what happened, and orders for tonight.

import { course } from "./chart.js";
import { el } from "./dom.js";
import { standing } from "./views.js";
import { clock, kilowatts, number, t } from "./words.js";

const said = (text, tag = "span", attributes = {}) => el(tag, { lang: "en", ...attributes }, text ?? "");
const fact = (key, value) => el("div", {}, el("dt", {}, t(key)), el("dd", {}, value));
const KINDS = ["boost", "priority", "no-v2g", "skip"];
const SHOWN = 20;

export function page(status, mayOrder, name, history, why, plan, events, orders) {
  const evse = status?.evses.find((each) => each.id === history.subject);
  const vehicle = evse?.vehicle ?? null;
  const mine = new Set([vehicle, evse?.id].filter(Boolean));
  return [el("h1", { tabindex: "-1" }, vehicle ?? name), " ",
    evse ? el("dl", { class: "facts" },
      fact("outlet", evse.id), fact("soc", `${number(evse.soc_pct)} → ${number(evse.target_soc_pct)} %`),
      fact("leaves", clock(evse.departure_wall_s)), fact("ready", clock(evse.ready_wall_s)),
      fact("power", `${kilowatts(evse.power_w)} kW`), fact("permit", `${kilowatts(evse.permit_w)} kW`)) : null,
    el("section", { "aria-labelledby": "because" }, el("h2", { id: "because" }, t("why")), why.answer.map((line) => said(line, "p")),
      el("p", {}, el("a", { href: `#why/${encodeURIComponent(history.subject)}` }, t("every_limit")))),
    courses(history, plan, history.subject),
    standing(orders.orders.filter((each) => mine.has(each.subject)), mayOrder),
    mayOrder && vehicle ? given(vehicle) : null,
    happened(events.events.filter((each) => mine.has(each.subject)))];
}

// What was measured as a line, what is planned from now on as an area beside it.
function courses(history, { plan: followed, report }, evse) {
  const planned = report?.vehicles?.find((each) => each.evse === evse);
  const slots = (followed?.slots ?? []).map((slot) => ({ time: slot.start_wall_s, power: slot.evse_w.find(([id]) => id === evse)?.[1] }))
    .filter((slot) => slot.power !== undefined);
  const powers = [{ name: "measured", times: history.wall_s, values: history.power_w.map((value) => value === null ? null : value / 1000) }];
  const socs = [{ name: "measured", times: history.wall_s, values: history.soc_pct }];
  if (slots.length) powers.push({ name: "planned", times: slots.map((slot) => slot.time), values: slots.map((slot) => slot.power / 1000) });
  if (planned?.soc_pct?.length) socs.push({ name: "planned", times: report.edges.slice(1), values: planned.soc_pct });
  const legend = el("p", {}, t("course.legend"));
  if (history.wall_s.length < 2 && powers.length < 2) return el("p", {}, t("course.none"));
  return el("section", { "aria-labelledby": "course" }, el("h2", { id: "course" }, t("course")), legend,
    course(`${t("soc")}, %`, socs, [0, 100], 0), course(`${t("power")}, kW`, powers, [0, 1], 1));
}

function given(vehicle) {
  return el("section", { class: "orders", "aria-labelledby": "give" }, el("h2", { id: "give" }, t("orders.tonight")),
    el("p", {}, KINDS.map((kind) => el("button", { type: "button", "data-do": "tonight", "data-kind": kind, "data-name": vehicle }, t(`tonight.${kind}`)))),
    el("form", { "data-form": "depart", "data-name": vehicle },
      el("label", { for: "at" }, t("tonight.depart")), el("input", { id: "at", name: "at", type: "time", required: true }),
      el("label", { for: "soc" }, t("tonight.soc")), el("input", { id: "soc", name: "soc", type: "number", min: 0, max: 100, step: 1 }),
      el("p", { id: "fault", class: "bad", role: "alert" }), el("button", {}, t("tonight.try"))));
}

function happened(list) {
  if (!list.length) return el("p", {}, t("events.none"));
  return el("section", { "aria-labelledby": "happened" }, el("h2", { id: "happened" }, t("events")),
    el("ul", {}, [...list].reverse().slice(0, SHOWN).map((each) => el("li", {}, `${clock(each.wall_s, { seconds: true, day: true })} `,
      said(`${each.kind}: ${each.text}`)))));
}

// The question before an order for tonight: what it does, and which promises it would break.
export function order({ text, breaks }) {
  return [el("h2", { id: "ask-title" }, t("ask.tonight")), said(text, "p"),
    breaks.length ? el("div", {}, el("p", { class: "bad" }, t("ask.breaks")), el("ul", {}, breaks.map((line) => said(line, "li")))) : el("p", {}, t("ask.keeps")),
    el("form", { "data-form": "tonight" }, el("label", { for: "reason" }, t("reason")), el("input", { id: "reason", name: "reason", maxlength: "120" }),
      el("p", { id: "fault", class: "bad", role: "alert" }),
      el("p", {}, el("button", { class: breaks.length ? "danger" : null }, t("confirm")), el("button", { type: "button", "data-do": "cancel" }, t("cancel"))))];
}
