// A step chart as SVG. Colours come from the style sheet by class; the same figures stand in a table beside it.

import { el } from "./dom.js";
import { clock, number } from "./words.js";

const WIDTH = 640;
const HEIGHT = 180;
const LEFT = 48;
const BOTTOM = 24;
const TOP = 8;

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
  const marks = [0, 0.25, 0.5, 0.75].map((share) => edges[0] + share * (edges.at(-1) - edges[0]));
  return el(
    "svg:svg",
    { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": title, class: "chart" },
    el("svg:line", { x1: LEFT, x2: WIDTH, y1: y(0), y2: y(0), class: "axis" }),
    [low, high].map((value) => el("svg:text", { x: LEFT - 6, y: y(value) + (value === high ? 10 : 0), class: "left" }, number(value, digits))),
    marks.map((time) => el("svg:text", { x: x(time), y: HEIGHT - 6 }, clock(time))),
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

// Lines over time with holes where a value is null. `series`: [{ name, times, values }]; `least`: the range shown at least.
export function course(title, series, least, digits) {
  const points = series.map((each) => each.values.map((value, i) => [each.times[i], value]).filter(([, value]) => value !== null && value !== undefined));
  const all = points.flat();
  if (!all.length) return null;
  const [from, to] = [Math.min(...all.map(([time]) => time)), Math.max(...all.map(([time]) => time)) + 1];
  const low = Math.min(least[0], ...all.map(([, value]) => value));
  const high = Math.max(least[1], ...all.map(([, value]) => value));
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
  const marks = [0, 0.25, 0.5, 0.75].map((share) => from + share * (to - from));
  return el("svg:svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": title, class: "chart" },
    el("svg:line", { x1: LEFT, x2: WIDTH, y1: y(Math.max(low, 0)), y2: y(Math.max(low, 0)), class: "axis" }),
    [low, high].map((value) => el("svg:text", { x: LEFT - 6, y: y(value) + (value === high ? 10 : 0), class: "left" }, number(value, digits))),
    el("svg:text", { x: LEFT + 6, y: TOP + 10 }, title),
    marks.map((time) => el("svg:text", { x: x(time), y: HEIGHT - 6 }, clock(time))),
    series.map((each) => el("svg:path", { d: line(each), class: `line ${each.name}` })));
}
