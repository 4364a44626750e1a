// Texts from the catalogues, and numbers and times as the reader's language and the site's time zone have them.

export const LANGUAGES = { en: "English", de: "Deutsch" };

let texts = {};
let language = "en";
let zone = "UTC";

export async function setLanguage(wanted) {
  language = wanted in LANGUAGES ? wanted : "en";
  texts = await (await fetch(`/static/${language}.json`)).json();
  document.documentElement.lang = language;
}

export function chosenLanguage() {
  return localStorage.getItem("language") ?? (navigator.language ?? "en").slice(0, 2);
}

export function currentLanguage() {
  return language;
}

export function setZone(name) {
  zone = name || "UTC";
}

export function t(key, values = {}) {
  return (texts[key] ?? key).replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);
}

export function number(value, digits = 0) {
  if (value === null || value === undefined) return "–";
  const rounded = Number(value.toFixed(digits)) || 0; // never "−0"
  return new Intl.NumberFormat(language, { minimumFractionDigits: digits, maximumFractionDigits: digits }).format(rounded);
}

export function kilowatts(watts) {
  return watts === null || watts === undefined ? "–" : number(watts / 1000, 1);
}

export function clock(wallS, { seconds = false, day = false, year = false } = {}) {
  if (wallS === null || wallS === undefined) return "–";
  const parts = { timeZone: zone, hour: "2-digit", minute: "2-digit", hourCycle: "h23" };
  if (seconds) parts.second = "2-digit";
  if (day) Object.assign(parts, { weekday: "short", day: "2-digit", month: "short" });
  if (year) parts.year = "numeric";
  return new Intl.DateTimeFormat(language, parts).format(new Date(wallS * 1000));
}

// The site's local day of a time, as an input of dates takes it.
export function day(wallS) {
  return new Intl.DateTimeFormat("en-CA", { timeZone: zone, year: "numeric", month: "2-digit", day: "2-digit" }).format(new Date(wallS * 1000));
}
