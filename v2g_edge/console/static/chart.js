// A step chart as SVG. Colours come from the style sheet by class; the same figures stand in a table beside it.

import { el } from "./dom.js";
import { clock, number } from "./words.js";

const WIDTH = 640;
const HEIGHT = 180;
const LEFT = 56;
const BOTTOM = 24;
const TOP = 8;

const STEPS_S = [1, 2, 5, 10, 30, 60, 300, 900, 1800, 3600, 7200, 10800, 21600, 43200];

// Round values within the range, three to six of them.
export function levels(low, high) {
  const rough = (high - low) / 5;
  const size = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((each) => each * size).find((each) => each >= rough);
  const first = Math.ceil(low / step - 1e-9);
  return Array.from({ length: Math.floor(high / step + 1e-9) - first + 1 }, (_, i) => (first + i) * step);
}

const rules = (low, high, y, digits) => levels(low, high).map((value) => [
  el("svg:line", { x1: LEFT, x2: WIDTH, y1: y(value), y2: y(value), class: value === 0 ? "axis" : "rule" }),
  el("svg:text", { x: LEFT - 6, y: y(value) + 4, class: "left" }, number(value, high - low < 1 ? Math.max(digits, 2) : 0))]);

// Full hours, or parts of one, with their time.
function hours(from, to, x) {
  const step = STEPS_S.find((each) => (to - from) / each <= 6) ?? 86400;
  const times = [];
  for (let time = Math.ceil(from / step) * step; time < to; time += step) times.push(time);
  return times.filter((time) => x(time) < WIDTH - (step < 60 ? 70 : 36)).map((time) => [
    el("svg:line", { x1: x(time), x2: x(time), y1: TOP, y2: HEIGHT - BOTTOM + 4, class: "rule" }),
    el("svg:text", { x: x(time) - 2, y: HEIGHT - 4 }, clock(time, { seconds: step < 60 }))]);
}

// `series`: [{ name, values, kind: "line" | "area" }]; value i holds from edges[i] until edges[i + 1].
export function steps(title, edges, series, digits) {
  const all = series.flatMap((each) => each.values).concat(0);
  const low = Math.min(...all);
  const high = Math.max(...all, low + 1e-9);
  const x = (time) => LEFT + ((time - edges[0]) / (edges.at(-1) - edges[0])) * (WIDTH - LEFT);
  const y = (value) => TOP + ((high - value) / (high - low)) * (HEIGHT - TOP - BOTTOM);
  const path = (values) =>
    values.map((value, i) => `${i ? "L" : "M"}${x(edges[i]).toFixed(1)} ${y(value).toFixed(1)}H${x(edges[i + 1]).toFixed(1)}`).join("");
  const area = (values) => `${path(values)}V${y(0).toFixed(1)}H${x(edges[0]).toFixed(1)}Z`;
  return el(
    "svg:svg",
    { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": title, class: "chart" },
    rules(low, high, y, digits),
    hours(edges[0], edges.at(-1), x),
    series.map((each) => el("svg:path", { d: each.kind === "area" ? area(each.values) : path(each.values), class: `${each.kind} ${each.name}` })),
  );
}

// A bar from 0 to 1 with a mark.
export function bar(share, mark) {
  const at = (value) => Math.max(0, Math.min(100, value * 100)).toFixed(1);
  return el(
    "svg:svg",
    { viewBox: "0 0 100 6", preserveAspectRatio: "none", class: "bar", "aria-hidden": "true" },
    el("svg:rect", { width: 100, height: 6, class: "empty" }),
    el("svg:rect", { width: at(share), height: 6, class: "full" }),
    mark === null || mark === undefined ? null : el("svg:rect", { x: Math.max(at(mark) - 1, 0), width: 1.5, height: 6, class: "mark" }),
  );
}

// What is shown at least; without it as much as the values need.
function range(values, least) {
  const [low, high] = [Math.min(...values, ...(least ? [least[0]] : [])), Math.max(...values, ...(least ? [least[1]] : []))];
  return high - low > 1e-3 ? [low, high] : [low - 1, high + 1];
}

// Lines over time with holes where a value is null. `series`: [{ name, times, values }]; `least`: the range shown at
// least; `mark`: a time that stands out.
export function course(title, series, least, digits, mark = null) {
  const points = series.map((each) => each.values.map((value, i) => [each.times[i], value]).filter(([, value]) => value !== null && value !== undefined));
  const all = points.flat();
  if (!all.length) return null;
  const [from, to] = [Math.min(...all.map(([time]) => time)), Math.max(...all.map(([time]) => time)) + (least ? 1 : 0.1)];
  const [low, high] = range(all.map(([, value]) => value), least);
  const x = (time) => LEFT + ((time - from) / (to - from)) * (WIDTH - LEFT);
  const y = (value) => TOP + ((high - value) / (high - low)) * (HEIGHT - TOP - BOTTOM);
  const line = (each) => {
    let pen = false;
    return each.values.map((value, i) => {
      if (value === null || value === undefined) { pen = false; return ""; }
      const step = `${pen ? "L" : "M"}${x(each.times[i]).toFixed(1)} ${y(value).toFixed(1)}`;
      pen = true;
      return step;
    }).join("");
  };
  return el("svg:svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": title, class: "chart" },
    rules(low, high, y, digits),
    el("svg:text", { x: LEFT + 6, y: TOP + 12, class: "title" }, title),
    hours(from, to, x),
    mark === null ? null : el("svg:line", { x1: x(mark), x2: x(mark), y1: TOP, y2: HEIGHT - BOTTOM, class: "stands-out" }),
    series.map((each) => el("svg:path", { d: line(each), class: `line ${each.name}` })));
}
