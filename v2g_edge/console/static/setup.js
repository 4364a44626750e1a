// What an engineer sets up: site file, stations, who dialled in, commissioning, certificates, firmware, health, accounts.

import { el } from "./dom.js";
import { field, table } from "./views.js";
import { clock, number, t } from "./words.js";

const said = (text, tag = "span", attributes = {}) => el(tag, { lang: "en", ...attributes }, text ?? "");
const fact = (key, value) => el("div", {}, el("dt", {}, t(key)), el("dd", {}, value));
const plain = (value) => (value !== null && typeof value === "object" ? JSON.stringify(value) : String(value ?? "–"));
const button = (act, text, more = {}) => el("button", { type: "button", "data-do": act, ...more }, text);
const part = (id, ...inner) => el("div", { class: "card", "data-part": id }, el("h2", {}, t(`setup.${id}`)), ...inner);
const SOON_DAYS = 30;

// `checked`: { text, changes } or { text, fault } of the file that was checked last; null without one.
export function page({ stations, health, certificates, rollout, site_file: file }, people, checked, wallS) {
  return [el("h1", { tabindex: "-1" }, t("setup")), siteFile(file, checked), found(stations), unknown(stations.unknown ?? []),
    commissioning(stations.stations ?? []), ends(certificates, wallS), rollOut(rollout), wellBeing(health), accounts(people)];
}

function changes(list) {
  if (!list.length) return el("p", {}, t("setup.same"));
  return table(t("setup.changes"), ["setup.key", "setup.old", "setup.new", "setup.how"].map((key) => t(key)),
    list.map((each) => [said(each.key), said(plain(each.old)), said(plain(each.new)), t(each.live ? "setup.live" : "setup.restart")]));
}

function siteFile(file, checked) {
  const waits = file.changes?.length > 0;
  return part("site_file",
    file.none ? el("p", { class: "bad" }, t("setup.file_bad"), " ", said(file.none)) : [el("p", {}, said(file.path)), waits ? [el("p", {}, t("setup.waits")), changes(file.changes),
      button("apply", t("setup.apply"))] : el("p", {}, t("setup.in_force"))],
    el("form", { "data-form": "sitefile" }, el("label", { for: "site-text" }, t("setup.check_text")),
      el("textarea", { id: "site-text", name: "text", rows: 6, spellcheck: "false", maxlength: 48000 }, checked?.text ?? ""),
      el("label", { for: "site-upload" }, t("setup.check_file")), el("input", { id: "site-upload", name: "file", type: "file", accept: ".toml" }),
      el("p", { id: "fault", class: "bad", role: "alert" }), el("button", {}, t("setup.check"))),
    checked ? el("div", { role: "status", class: "checked" }, checked.fault ? [el("p", { class: "bad" }, t("setup.refused")), said(checked.fault, "pre", { tabindex: "0" })]
      : [el("p", {}, t("setup.good")), changes(checked.changes)]) : null);
}

function found(answer) {
  if (answer.none) return part("stations", said(answer.none, "p"));
  const card = (station) => el("details", {}, el("summary", {}, plain(station.station)),
    el("dl", {}, Object.entries(station).map(([key, value]) => el("div", {}, said(key, "dt"), said(plain(value), "dd")))));
  return part("stations", table(t("stations"), ["setup.station", "setup.link", "OCPP", "setup.make", "setup.firmware", "outlet"].map((key) => (key === "OCPP" ? key : t(key))),
    answer.stations.map((each) => [each.station, t(each.connected ? "setup.up" : "silent"), said(each.version), said(`${each.vendor ?? ""} ${each.model ?? ""}`.trim()), said(each.firmware),
      (each.outlets ?? []).map((outlet) => outlet.evse).join(", ")])),
  answer.stations.map(card));
}

function unknown(list) {
  return part("unknown", list.length ? [el("p", {}, t("setup.unknown.help")), list.map((each) => el("details", { open: list.length === 1 },
    el("summary", {}, said(each.station), ` ${t("setup.seen", { n: number(each.times), peer: each.peer, time: clock(each.wall_s, { day: true }) })}`),
    each.entry ? said(each.entry, "pre", { tabindex: "0" }) : el("p", {}, t("setup.no_entry"))))] : el("p", {}, t("setup.unknown.none")));
}

// Whether each outlet was seen to do what it is asked to.
function commissioning(stations) {
  const outlets = stations.flatMap((station) => (station.outlets ?? []).map((outlet) => ({ ...outlet, station: station.station })));
  return part("commissioning", outlets.length ? table(t("setup.commissioning"), ["outlet", "setup.station", "setup.follows", "setup.score", "setup.discharge"].map((key) => t(key)),
    outlets.map((each) => [each.evse, each.station, t(each.follows ? "setup.yes" : "setup.no"), number(each.score, 2), t(`setup.proof.${each.discharge}`)])) : null,
  el("p", {}, t("setup.commission.help"), " ", said("v2g-edge commission /etc/v2g-edge/site.toml", "code")));
}

function ends(answer, wallS) {
  if (answer.none) return part("certificates", said(answer.none, "p"));
  const now = (wallS ?? Date.now() / 1000) * 1000;
  const row = (name, what, until) => {
    const days = Math.floor((Date.parse(until) - now) / 86_400_000);
    return [said(name), said(what), clock(Date.parse(until) / 1000, { day: true, year: true }), el("span", { class: days < SOON_DAYS ? "bad" : null }, number(days))];
  };
  const rows = [...answer.listeners.map((each) => row(each.listener, each.file, each.until)), ...answer.stations.map((each) => row(each.station, each.serial, each.until))];
  return part("certificates", rows.length ? [table(t("setup.certificates"), ["setup.of", "setup.file", "setup.until", "setup.days"].map((key) => t(key)), rows), el("p", {}, t("setup.renewals"))]
    : el("p", {}, t("setup.certificates.none")), button("operation", t("setup.reload"), { "data-name": "reload" }));
}

function rollOut(answer) {
  if (answer.none) return part("rollout", said(answer.none, "p"), el("p", {}, t("setup.rollout.help"), " ", said("v2g-edge ocpp @site rollout make=… location=… version=…", "code")));
  return part("rollout", el("dl", { class: "facts" }, fact("setup.state", said(answer.state)), fact("setup.make", said(answer.make)), fact("setup.firmware", said(answer.version)),
    fact("setup.wave", number(answer.wave)), fact("setup.signed", t(answer.signed ? "setup.yes" : "setup.no"))),
  answer.why ? said(answer.why, "p", { class: "bad" }) : null,
  table(t("setup.rollout"), ["setup.station", "setup.wave", "setup.phase", "text"].map((key) => t(key)), answer.stations.map((each) => [each.station, number(each.wave), said(each.phase), said(each.why || each.status)])),
  answer.state === "running" ? button("operation", t("setup.abort"), { "data-name": "rollout-abort", class: "danger" }) : null,
  answer.state === "stopped" ? [button("operation", t("setup.continue"), { "data-name": "rollout-continue" }), button("operation", t("setup.abort"), { "data-name": "rollout-abort", class: "danger" })] : null);
}

function wellBeing(health) {
  if (health.none) return part("health", said(health.none, "p"));
  const machine = health.machine ?? {};
  const mib = (octets) => (octets === null || octets === undefined ? "–" : `${number(octets / 1048576)} MiB`);
  return part("health", el("dl", { class: "facts" }, fact("setup.ready", t(health.ready ? "setup.yes" : "setup.no")), fact("setup.version", said(health.version)),
    fact("setup.tick", `${number(health.tick_age_s, 1)} s`), fact("setup.links", `${number(health.links_up)} / ${number(health.links)}`),
    fact("setup.clock", t(health.clock_synchronised ? "setup.yes" : "setup.no")), fact("setup.lost", number(health.journal_lost)),
    fact("setup.memory", mib(machine.memory_bytes)), fact("setup.disk", mib(machine.disk_free_bytes)), fact("setup.heat", machine.temperature_c === null || machine.temperature_c === undefined ? "–" : `${number(machine.temperature_c)} °C`)),
  health.acting?.length ? el("p", {}, t("setup.acting"), " ", said(health.acting.join(", "))) : null);
}

function accounts(people) {
  return part("accounts", table(t("accounts"), [t("name"), t("role")], people.map((each) => [each.name, t(`role.${each.role}`)])),
    el("form", { "data-form": "person" }, el("h3", {}, t("account.new")), field("name", "text", "off"),
      el("label", { for: "role" }, t("role")), el("select", { id: "role", name: "role" },
        ["viewer", "operator", "engineer"].map((role) => el("option", { value: role }, t(`role.${role}`)))),
      field("password", "password", "new-password"), el("button", {}, t("account.save"))));
}

// The question before an operation for all stations, or before the site file is taken into use.
export function order(kind) {
  return [el("h2", { id: "ask-title" }, t(`setup.ask.${kind}`)), el("p", {}, t(`setup.ask.${kind}.then`)),
    el("form", { "data-form": "operation" }, el("label", { for: "reason" }, t("reason")), el("input", { id: "reason", name: "reason", maxlength: "200", required: true }),
      el("p", { id: "fault", class: "bad", role: "alert" }), el("p", {}, el("button", { class: "danger" }, t("confirm")), button("cancel", t("cancel"))))];
}
