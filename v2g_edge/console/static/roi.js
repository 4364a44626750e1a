// Whether it pays: assumptions in, a study of thousands of futures out, with its progress and its reports.

import { levels } from "./chart.js";
import { el } from "./dom.js";
import { table } from "./views.js";
import { number, t } from "./words.js";

const said = (text, tag = "span", attributes = {}) => el(tag, { lang: "en", ...attributes }, text ?? "");
const GROUPS = ["fleet", "prices", "services", "wear", "costs", "risk"];
const OPEN_AT_FIRST = ["fleet"];
const SEASONS = ["winter", "spring", "summer", "autumn"];
const FORMS = ["pdf", "csv", "html", "json"];
const WIDTH = 640;
const HEIGHT = 260;
const LEFT = 64;
const BOTTOM = 26;
const TOP = 10;

export const isOpen = (state) => state.state === "waiting" || state.state === "running";

export function page(state, known) {
  return [el("h1", { tabindex: "-1" }, t("roi")), el("p", {}, t("roi.help")),
    isOpen(state) ? progress(state) : null,
    state.state === "failed" ? said(state.fault, "p", { class: "bad", role: "alert" }) : null,
    state.state === "cancelled" ? el("p", {}, t("roi.cancelled")) : null,
    state.result ? report(state) : null, form(state.asked, known)];
}

function progress(state) {
  const text = state.state === "waiting" ? t("roi.waits") : t("roi.runs", { done: number(state.done), of: number(state.of) });
  return el("section", { class: "card", "aria-label": t("roi.progress") },
    el("p", {}, el("progress", { max: state.of || 1, value: state.done, "aria-label": t("roi.progress") }), " ", text),
    el("button", { type: "button", "data-do": "study-cancel" }, t("roi.cancel")));
}

function report({ result, forms }) {
  const { currency } = result.assumptions;
  const money = (value) => `${number(value)} ${currency}`;
  const years = (value) => (value === null ? t("roi.never") : t("roi.years_n", { n: number(value, 1) }));
  const base = result.results.filter((each) => each.scenario === "base");
  const rows = result.results.map((each) => [said(each.scenario), t(`roi.way.${each.way}`), ...each.npv.map(money), `${number(100 * each.positive)} %`,
    each.irr_pct ? `${number(each.irr_pct[1], 1)} %` : "–", years(each.payback_years[1]), `${years(each.payback_years[0])} – ${years(each.payback_years[2])}`]);
  const heads = ["roi.scenario", "roi.against", "roi.p10", "roi.p50", "roi.p90", "roi.positive", "roi.irr", "roi.payback", "roi.payback_spread"];
  const levers = result.tornado.map((each) => [said(each.name), said(`${each.low} / ${each.high}`), money(each.npv_low), money(each.npv_high)]);
  const fans = base.filter((each) => each.way !== "V2G over V1G");
  return el("section", { class: "report", "aria-labelledby": "report" }, el("h2", { id: "report" }, `${t("roi.result")}: `, said(result.assumptions.name)),
    el("dl", { class: "tiles" }, base.map((each) => el("div", { class: `tile ${each.npv[1] >= 0 ? "ok" : "bad"}` }, el("dt", {}, t(`roi.way.${each.way}`)),
      el("dd", {}, money(each.npv[1]), el("small", {}, t("roi.spread", { low: money(each.npv[0]), high: money(each.npv[2]) })), el("small", {}, `${t("roi.payback")}: ${years(each.payback_years[1])}`))))),
    el("p", {}, t("roi.reports"), " ", forms.length ? FORMS.filter((name) => forms.includes(name)).map((name) => [el("a", { href: `/api/roi/${name}`, download: `roi.${name}` }, name.toUpperCase()), " "]) : null),
    table(t("roi.results"), heads.map((key) => t(key)), rows),
    el("section", { class: "card", "aria-labelledby": "cash" }, el("h3", { id: "cash" }, `${t("roi.cash")}, 1000 ${currency}`),
      fan(t("roi.cash"), fans, currency), el("p", {}, t("roi.cash.legend"))),
    table(t("roi.levers"), ["roi.assumption", "roi.changed", "roi.npv_low", "roi.npv_high"].map((key) => t(key)), levers),
    el("ul", {}, result.notes.map((note) => said(note, "li"))));
}

// Cash so far by year: the middle future as a line, eight of ten futures as an area about it.
function fan(title, ways, currency) {
  const all = ways.flatMap((each) => each.fan.flat()).concat(0).map((value) => value / 1000);
  const [low, high] = [Math.min(...all), Math.max(...all)];
  const last = ways[0].fan[0].length - 1;
  const x = (year) => LEFT + (year / Math.max(last, 1)) * (WIDTH - LEFT - 12);
  const y = (value) => TOP + ((high - value) / (high - low || 1)) * (HEIGHT - TOP - BOTTOM);
  const line = (values) => values.map((value, year) => `${x(year).toFixed(1)} ${y(value / 1000).toFixed(1)}`);
  const every = Math.ceil(last / 10) || 1;
  return el("svg:svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": `${title}, 1000 ${currency}`, class: "chart" },
    levels(low, high).map((value) => [el("svg:line", { x1: LEFT, x2: WIDTH, y1: y(value), y2: y(value), class: value === 0 ? "axis" : "rule" }),
      el("svg:text", { x: LEFT - 6, y: y(value) + 4, class: "left" }, number(value))]),
    Array.from({ length: Math.floor(last / every) + 1 }, (_, i) => el("svg:text", { x: x(i * every) - 4, y: HEIGHT - 6 }, number(i * every))),
    ways.map((each) => [el("svg:path", { class: `fan ${each.way.toLowerCase()}`, d: `M${[...line(each.fan[2]), ...line(each.fan[0]).reverse()].join("L")}Z` }),
      el("svg:path", { class: `fan line ${each.way.toLowerCase()}`, d: `M${line(each.fan[1]).join("L")}` })]));
}

const valueOf = (asked, name) => name.split(".").reduce((found, key) => found?.[key], asked);

function form(asked, known) {
  const pair = (name, input) => el("div", {}, el("label", { for: `roi.${name}` }, t(`roi.${name}`)), input);
  const input = (each) => pair(each.name, el("input", { id: `roi.${each.name}`, name: each.name, type: "number", min: each.min, max: each.max, step: each.whole ? 1 : "any", required: true, value: valueOf(asked, each.name) ?? each.value }));
  const text = (name, value, more) => pair(name, el("input", { id: `roi.${name}`, name, value, required: true, ...more }));
  const model = asked ? asked.wear?.model ?? "" : known.model;
  const more = {
    prices: [pair("curve", el("textarea", { id: "roi.curve", name: "curve", rows: 4 }, (asked?.prices?.curve?.length ? asked.prices.curve : known.curve).join(" "))),
      pair("file", el("input", { id: "roi.file", name: "file", type: "file", accept: ".csv,text/csv" })),
      SEASONS.map((season) => pair(`weight.${season}`, el("input", { id: `roi.weight.${season}`, name: `seasonal_weight.${season}`,
        type: "number", min: 0, max: 10, step: "any", required: true, value: asked?.seasonal_weight?.[season] ?? known.seasonal_weight[season] ?? 1 })))],
    wear: [pair("model", el("select", { id: "roi.model", name: "wear.model" },
      [...known.models, ""].map((name) => el("option", { value: name, selected: name === model }, name || t("roi.model.none")))))],
  };
  const whole = known.fields.filter((each) => !each.name.includes("."));
  return el("form", { "data-form": "roi", class: "study" }, el("h2", {}, t("roi.assumptions")),
    el("div", { class: "fields" }, text("name", asked?.name ?? "Depot", { maxlength: 80 }), text("currency", asked?.currency ?? known.currency, { pattern: "[A-Z]{3}", maxlength: 3 }), whole.map(input)),
    GROUPS.map((group) => el("details", { open: OPEN_AT_FIRST.includes(group) }, el("summary", {}, t(`roi.${group}`)),
      el("div", { class: "fields" }, more[group], known.fields.filter((each) => each.name.startsWith(`${group}.`)).map(input)))),
    el("p", { id: "fault", class: "bad", role: "alert" }), el("button", {}, t("roi.begin")));
}

// What the form says, as the console's interface takes it.
export async function asked(data) {
  const { curve, file, ...fields } = data;
  const wanted = {};
  for (const [name, value] of Object.entries(fields)) {
    const [key, inner] = name.split(".");
    const made = ["name", "currency", "wear.model"].includes(name) ? value : Number(value);
    if (inner === undefined) wanted[key] = made;
    else (wanted[key] ??= {})[inner] = made;
  }
  if (file?.size) wanted.prices_csv = await file.text();
  else wanted.prices.curve = curve.trim().split(/[\s;]+/).map((value) => Number(value.replace(",", ".")));
  return wanted;
}
