// Starts the page: session, language, pages by address, orders.

import { el, show } from "./dom.js";
import * as live from "./live.js";
import { ask, session } from "./rest.js";
import * as views from "./views.js";
import { LANGUAGES, chosenLanguage, clock, currentLanguage, kilowatts, number, setLanguage, setZone, t } from "./words.js";

// Pages that are opened later come when they are: the first one must not wait for them.
const room = (name) => import(`./${name}.js`);
const byId = (id) => document.getElementById(id);
const ROLES = ["viewer", "operator", "engineer"];
const PAGES = { tonight: "viewer", depot: "viewer", vehicle: "viewer", why: "viewer", plan: "viewer", money: "viewer", roi: "operator", events: "viewer", setup: "engineer", account: "viewer" };
const ORDERS = { stop: { stop: true }, hold: { export_hold: true }, release: { stop: false, export_hold: false } };

const STUDY_MS = 500; // between two looks at a study that runs

let person = null;
let claimed = true;
let entrance = { certificate: "", proxy: "" }; // who the browser's certificate, or a proxy before us, says it is
let shown = null; // the page whose data is on the screen
let asked = null; // the order that waits for its confirmation
let tried = null; // the departure that was moved in thought, and what came of it
let checked = null; // the site file that was checked last, and what was found
let stale = null;
let toldStale = false;

const may = (role) => person !== null && ROLES.indexOf(person.role) >= ROLES.indexOf(role);

function place() {
  const [page, ...names] = location.hash.slice(1).split("/").map(decodeURIComponent);
  return { page, name: names[0] ?? "", names };
}

function frame() {
  show(byId("skip"), t("skip"));
  const page = place().page || "tonight";
  byId("nav").hidden = person === null;
  byId("nav").setAttribute("aria-label", t("pages"));
  show(byId("nav"), Object.entries(PAGES).filter(([, role]) => may(role))
    .filter(([name]) => !["vehicle", "account"].includes(name))
    .map(([name]) => el("a", { href: `#${name}`, "aria-current": name === page ? "page" : null }, t(name))));
  const choices = Object.entries(LANGUAGES).map(([code, name]) =>
    el("option", { value: code, lang: code, selected: code === currentLanguage() }, name));
  show(byId("foot"), el("label", { for: "language" }, t("language")), el("select", { id: "language" }, choices),
    person ? el("a", { href: "#account" }, `${person.name} (${t(`role.${person.role}`)})`) : null,
    person ? el("button", { type: "button", "data-do": "logout" }, t("logout")) : null);
}

function head() {
  const status = live.status;
  if (!status || !person) return;
  setZone(status.timezone);
  show(byId("site"), status.site);
  show(byId("facts"), `${clock(status.wall_s, { seconds: true, day: true })} · ${t("grid")} ${kilowatts(status.grid.power_w)} kW`,
    status.clock_synced ? null : ` · ${t("clock_not_set")}`);
}

function state() {
  stale = person ? live.staleness() : null;
  document.body.classList.toggle("stale", stale !== null);
  byId("banner").hidden = stale === null;
  if (stale) {
    const age = stale.ageS === null ? null : ` ${t("stale.age", { n: number(stale.ageS) })}`;
    // Said once: the age changes each second, and is for the eye.
    show(byId("banner"), t(stale.key), " ", el("span", { lang: "en" }, stale.reason), el("span", { "aria-hidden": "true" }, age ?? ""));
  } else if (toldStale) byId("live").textContent = t("stale.back");
  toldStale = stale !== null;
}

async function open() {
  const { page: wanted, name, names } = place();
  if (!person) {
    const claims = wanted === "claim" || (!claimed && wanted !== "login");
    show(byId("view"), views.login(claims, entrance));
    return frame();
  }
  const page = may(PAGES[wanted] ?? "nobody") ? wanted : "tonight";
  const first = shown !== location.hash;
  shown = location.hash;
  frame();
  if (first) byId("view").setAttribute("aria-busy", "true");
  try {
    const content = await contentOf(page, name, names);
    if (shown !== location.hash) return; // another page was opened meanwhile
    if (first) byId("view").replaceChildren(); // what was typed or opened on the page before stays there
    show(byId("view"), content);
  } catch (fault) {
    if (fault.status === 401) return leave();
    show(byId("view"), el("h1", { tabindex: "-1" }, t(page)), el("p", { class: "bad", lang: "en" }, fault.message || t("stale.lost")));
  }
  byId("view").removeAttribute("aria-busy");
  byId("view").dataset.page = location.hash.slice(1);
  document.title = `${t(page)} · ${live.status?.site ?? "v2g-edge"}`;
  if (first) byId("view").querySelector("h1")?.focus();
}

async function contentOf(page, name, names) {
  const status = live.status;
  if (page === "plan") return (await room("plan")).page(await ask("/api/plan"), status, may("operator"), tried);
  if (page === "events") return views.events(...await Promise.all([ask("/api/events"), ask("/static/playbook.json"), ask("/api/trips")]));
  if (page === "money") {
    const money = await room("money");
    const chosen = money.span(status, names);
    // One after the other: the daemon makes one report at a time.
    const earned = await ask(`/api/money?${new URLSearchParams(chosen)}`);
    return money.page(await ask(`/api/night${name ? `?evening=${encodeURIComponent(name)}` : ""}`), earned, names, chosen);
  }
  if (page === "roi") {
    const [roi, study, known] = await Promise.all([room("roi"), ask("/api/roi"), ask("/static/assumptions.json")]);
    if (roi.isOpen(study)) setTimeout(() => { if (place().page === "roi") open(); }, STUDY_MS);
    return roi.page(study, known);
  }
  if (page === "setup") return (await room("setup")).page(...await Promise.all([ask("/api/setup"), ask("/api/people")]), checked, status?.wall_s);
  if (page === "account") return views.account();
  if (page === "vehicle") {
    const found = (path) => ask(`${path}/${encodeURIComponent(name)}`);
    return (await room("vehicle")).page(status, may("operator"), name, ...await Promise.all([found("/api/history"), found("/api/why"),
      ask("/api/plan"), ask("/api/events"), ask("/api/tonight")]));
  }
  if (page === "why") {
    if (!name) return views.why(status, "", null, null);
    return ask(`/api/why/${encodeURIComponent(name)}`).then(
      (answer) => views.why(status, name, answer, null),
      (fault) => { if (fault.status === 401) throw fault; return views.why(status, name, null, fault.message); });
  }
  if (!status) return [el("h1", { tabindex: "-1" }, t(page)), el("p", {}, t("waiting"))];
  return page === "depot" ? views.depot(status, may("operator")) : views.tonight(status, may("operator"));
}

function picture() {
  if (!person) return;
  head();
  const { page } = place();
  if (["", "tonight", "depot"].includes(page)) open();
}

function leave() {
  live.stop();
  person = null;
  byId("ask").close();
  state();
  open();
}

async function enter({ atOnce = false, asking = session() } = {}) {
  let found = await asking;
  if (atOnce && found.proxy && !found.person) { // the proxy has asked for a password already
    await ask("/api/login/proxy", "POST").catch(() => null);
    found = await session();
  }
  person = found.person;
  claimed = found.claimed;
  entrance = found;
  shown = null;
  if (person) live.resume();
  await open();
}

const ACTS = {
  stop: () => confirmOrder("stop"),
  hold: () => confirmOrder("hold"),
  release: () => confirmOrder("release"),
  retry: (at) => confirmOrder("retry", at.dataset.name),
  tonight: (at) => confirmTonight({ kind: at.dataset.kind, subject: at.dataset.name }),
  undo: async (at) => { await ask(`/api/tonight/${at.dataset.number}`, "DELETE").then(open, complain); },
  apply: () => confirmSetup("apply"),
  operation: (at) => confirmSetup(at.dataset.name),
  "study-cancel": async () => { await ask("/api/roi", "DELETE").then(open, complain); },
  cancel: () => byId("ask").close(),
  certificate: () => ACTS.enterBy("certificate"),
  proxy: () => ACTS.enterBy("proxy"),
  enterBy: async (way) => {
    try { await ask(`/api/login/${way}`, "POST"); location.hash = "#tonight"; await enter(); } catch (refused) { complain(refused); }
  },
  logout: async () => { await ask("/api/logout", "POST").catch(() => null); leave(); },
};

function confirmOrder(kind, name = "") {
  asked = kind === "retry" ? { acknowledge: `disobedient:${name}` } : ORDERS[kind];
  byId("ask").replaceChildren(...views.order(kind, live.status, name));
  byId("ask").showModal();
}

async function confirmSetup(kind) {
  asked = kind;
  byId("ask").replaceChildren(...(await room("setup")).order(kind));
  byId("ask").showModal();
}

// An order for tonight is tried first: the daemon says which promises it would break.
async function confirmTonight(given) {
  try {
    const tried = await ask("/api/tonight", "POST", { ...given, trial: true });
    asked = given;
    byId("ask").replaceChildren(...(await room("vehicle")).order(tried));
    byId("ask").showModal();
  } catch (refused) { complain(refused); }
}

function complain(refused) {
  const text = refused.message || t("stale.lost");
  if (byId("fault")) byId("fault").textContent = text;
  else byId("live").textContent = text;
}

const FORMS = {
  sitefile: async ({ text, file }) => {
    const given = file?.size ? await file.text() : text;
    checked = await ask("/api/site-file", "POST", { text: given }).then(({ changes }) => ({ text: given, changes }),
      (refused) => { if (refused.status !== 400) throw refused; return { text: given, fault: refused.message }; });
    await open();
  },
  operation: async ({ reason }) => {
    const kind = asked;
    if (kind === "apply") await ask("/api/site-file", "POST", { apply: true });
    else await ask("/api/stations/@site/operations", "POST", { operation: kind, why: reason });
    byId("ask").close();
    byId("live").textContent = t("setup.done");
    await open();
  },
  whatif: async ({ subject, at, soc }, form) => {
    form.setAttribute("aria-busy", "true");
    byId("live").textContent = t("whatif.runs");
    const asked = new URLSearchParams(soc === "" ? { at } : { at, soc_pct: soc });
    try {
      tried = { subject, at, soc, answer: await ask(`/api/what-if/${encodeURIComponent(subject)}?${asked}`) };
      byId("live").textContent = "";
    } finally { form.removeAttribute("aria-busy"); }
    await open();
  },
  roi: async (data) => { await ask("/api/roi", "POST", await (await room("roi")).asked(data)); await open(); byId("view").querySelector("h1")?.focus(); },
  night: async ({ evening }) => { location.hash = `#${["money", evening, ...place().names.slice(1)].join("/")}`; },
  days: async ({ since, until }) => { location.hash = `#${["money", place().name, since, until].join("/")}`; },
  depart: async ({ at, soc }, form) => confirmTonight({ kind: "depart", subject: form.dataset.name, at,
    ...(soc === "" ? {} : { soc_pct: Number(soc) }) }),
  tonight: async ({ reason }) => {
    const given = await ask("/api/tonight", "POST", { ...asked, why: reason });
    byId("ask").close();
    byId("live").textContent = `${t("order.given")} ${given.kept}`;
    await open();
  },
  password: async ({ old, new: wanted }, form) => {
    await ask("/api/password", "POST", { old, new: wanted });
    form.reset();
    byId("live").textContent = t("password.changed");
  },
  login: async (given) => { await ask("/api/login", "POST", given); location.hash = "#tonight"; await enter(); },
  claim: async ({ code, name, password }) => {
    await ask("/api/claim", "POST", { code, name, password });
    await FORMS.login({ name, password });
  },
  why: async ({ subject }) => { location.hash = `#why/${encodeURIComponent(subject)}`; },
  person: async (given, form) => { await ask("/api/people", "POST", given); form.reset(); await open(); byId("live").textContent = t("account.saved"); },
  order: async ({ reason }) => {
    const stands = await ask("/api/orders", "POST", { ...asked, why: reason });
    byId("ask").close();
    byId("live").textContent = stands.not_kept ? `${t("order.given")} ${stands.not_kept}` : t("order.given");
  },
};

document.addEventListener("click", (event) => {
  const at = event.target.closest("[data-do]");
  if (at) ACTS[at.dataset.do](at);
});

document.addEventListener("submit", async (event) => {
  event.preventDefault();
  const form = event.target;
  const fault = byId("fault");
  if (fault) fault.textContent = "";
  try {
    await FORMS[form.dataset.form](Object.fromEntries(new FormData(form)), form);
  } catch (refused) {
    complain(refused);
  }
});

// What cannot be sent as it is must be seen, also where it is folded away.
document.addEventListener("invalid", (event) => event.target.closest("details")?.setAttribute("open", ""), true);

document.addEventListener("change", async (event) => {
  if (event.target.id !== "language") return;
  localStorage.setItem("language", event.target.value);
  await setLanguage(event.target.value);
  head();
  await open();
});

window.addEventListener("hashchange", () => open());

const asking = session(); // beside the texts: on a slow line each question takes its time
await setLanguage(chosenLanguage());
live.start({ onPicture: picture, onState: state, onRefused: async (again) => {
  const found = await session().catch(() => null);
  if (found && !found.person) leave();
  else again();
} });
await enter({ atOnce: true, asking });
