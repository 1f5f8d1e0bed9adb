// Times, durations, counts and money in words. Unknown is a dash, never a zero.

import { h } from "./dom.js";

export const UNKNOWN = "–";
const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const WEEKDAYS = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];

let zone;
let formatter;

/** Read the reader's zone anew: the one chosen in Airflow, or else that of the browser. */
export function readZone() {
  zone = chosenZone() ?? Intl.DateTimeFormat().resolvedOptions().timeZone;
  formatter = zoneFormatter(zone);
}

export function zoneName() {
  return zone;
}

/** Airflow's UI stores the zone that a person chose under this key, as JSON or bare. */
function chosenZone() {
  try {
    const stored = localStorage.getItem("timezone");
    const name = stored?.startsWith('"') ? JSON.parse(stored) : stored;
    zoneFormatter(name || "no zone");
    return name;
  } catch {
    return null;
  }
}

function zoneFormatter(timeZone) {
  const numbers = {
    year: "numeric",
    month: "numeric",
    day: "numeric",
    hour: "numeric",
    minute: "numeric",
    second: "numeric",
  };
  return new Intl.DateTimeFormat("en-US-u-ca-gregory-nu-latn", { timeZone, hourCycle: "h23", ...numbers });
}

readZone();

/** The numbers of a time in the reader's zone; `month` from 1, `weekday` from 0, a Sunday. */
export function partsOf(ms) {
  const parts = Object.fromEntries(formatter.formatToParts(ms).map(({ type, value }) => [type, Number(value)]));
  const { year, month, day, hour, minute, second } = parts;
  const asUtc = Date.UTC(year, month - 1, day, hour, minute, second);
  return {
    year,
    month,
    day,
    hour,
    minute,
    weekday: new Date(asUtc).getUTCDay(),
    offset: asUtc - Math.floor(ms / 1000) * 1000,
  };
}

/** The instant at which the reader's clock shows a time; days beyond a month's end belong to the next. */
export function instantOf(year, month, day, hour = 0) {
  const wanted = Date.UTC(year, month - 1, day, hour);
  const near = wanted - partsOf(wanted).offset;
  return wanted - partsOf(near).offset;
}

const two = (number) => String(number).padStart(2, "0");

export function clockText(ms) {
  const { hour, minute } = partsOf(ms);
  return `${two(hour)}:${two(minute)}`;
}

/** "3 Dec" */
export function dateText(ms) {
  const { day, month } = partsOf(ms);
  return `${day} ${MONTHS[month - 1]}`;
}

export function dayText(ms) {
  return `${WEEKDAYS[partsOf(ms).weekday]} ${dateText(ms)}`;
}

/** "14:03" of today, "3 Dec 14:03" of this year, "3 Dec 2027 14:03" of others. */
export function timeText(ms, now) {
  const [then, today] = [partsOf(ms), partsOf(now)];
  const date = dateText(ms);
  if (then.year !== today.year) return `${date} ${then.year} ${clockText(ms)}`;
  return then.month === today.month && then.day === today.day ? clockText(ms) : `${date} ${clockText(ms)}`;
}

export function utcText(ms) {
  return `${new Date(ms).toISOString().slice(0, 19).replace("T", " ")} UTC`;
}

export const parseTime = (text) => (text ? Date.parse(text) : null);

/** A time in the reader's zone, with UTC on hover, and before it what is to be said of it; a dash where it is unknown. */
export function time(text, now, words = (shown) => shown, about = "") {
  const ms = parseTime(text);
  if (ms === null || Number.isNaN(ms)) return h("span", { class: "soft" }, UNKNOWN);
  return h("time", { datetime: text, title: `${about && `${about}\n`}${utcText(ms)}` }, words(timeText(ms, now)));
}

/** A length of time by its two largest units: "3 days 4 h", "2 h 10 min", "45 s". */
export function duration(ms) {
  const length = Math.abs(ms);
  if (length < MINUTE) return `${Math.round(length / 1000)} s`;
  if (length < HOUR) return `${Math.round(length / MINUTE)} min`;
  if (length < DAY) return pair(length, HOUR, "h", MINUTE, "min");
  const days = Math.floor(length / DAY);
  return days < 14 ? pair(length, DAY, days === 1 ? "day" : "days", HOUR, "h") : `${Math.round(length / DAY)} days`;
}

function pair(length, large, largeName, small, smallName) {
  const rest = Math.floor((length % large) / small);
  return `${Math.floor(length / large)} ${largeName}${rest ? ` ${rest} ${smallName}` : ""}`;
}

/** A length of time by one unit, for narrow columns: "85 min", "38 h", "3 days". */
export function roughDuration(ms) {
  const length = Math.abs(ms);
  if (length < MINUTE) return `${Math.round(length / 1000)} s`;
  if (length < 1.5 * HOUR) return `${Math.round(length / MINUTE)} min`;
  return length < 2 * DAY ? `${Math.round(length / HOUR)} h` : `${Math.round(length / DAY)} days`;
}

export function ago(text, now) {
  const ms = parseTime(text);
  return ms === null ? UNKNOWN : `${duration(Math.max(0, now - ms))} ago`;
}

const counts = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });

export function count(number) {
  return number === null || number === undefined ? UNKNOWN : counts.format(number);
}

/** A run's id as people speak of it: "scheduled 29 Nov 10:00"; one of another form stays as it is. */
export function runText(runId, now) {
  const [, kind, written] = /^([a-z_]+?)__(\d{4}-\d\d-\d\dT[\d:.]+(?:[+-]\d\d:\d\d|Z))/.exec(runId) ?? [];
  const ms = Date.parse(written);
  return Number.isNaN(ms) ? runId : `${kind} ${timeText(ms, now)}`;
}

/** "1 pool", "2,000 pools". */
export function countOf(number, noun) {
  return `${count(number)} ${noun}${number === 1 ? "" : "s"}`;
}

/** Money with the sign of its currency where that is known; cents of a cent only below one. */
export function money(amount, currency) {
  if (amount === null || amount === undefined) return UNKNOWN;
  const digits = { minimumFractionDigits: 2, maximumFractionDigits: Math.abs(amount) < 1 ? 4 : 2 };
  const options = currency ? { style: "currency", currency, currencyDisplay: "narrowSymbol", ...digits } : digits;
  try {
    return new Intl.NumberFormat("en", options).format(amount);
  } catch {
    return `${new Intl.NumberFormat("en", digits).format(amount)} ${currency}`;
  }
}

/** Money beside an axis: round amounts, without cents from 10 on. */
export function roundMoney(amount, currency) {
  return amount >= 10 || amount === 0 ? money(amount, currency).replace(/\.00$/, "") : money(amount, currency);
}

export function percent(number) {
  return number === null || number === undefined ? UNKNOWN : `${Math.floor(number)}%`;
}
