// The section "Windows": a week of the reader's calendar, a row per day, with what is planned, open, done, missed, late.

import { foreign, h, plain } from "./dom.js";
import {
  clockText,
  countOf,
  dayText,
  instantOf,
  parseTime,
  partsOf,
  time,
  timeText,
  utcText,
  zoneName,
} from "./format.js";
import { airflowLink, dagLink, fact, note } from "./parts.js";

const HOURS = [0, 3, 6, 9, 12, 15, 18, 21];
const LANE = 24;
const DAY = 86_400_000;
// Windows are listed by when they open, and may be open from one week into the next.
const LONGEST = 7 * DAY;
// Windows shorter than this have their name behind them, where it takes about as much.
const SHORT = 3 * 3_600_000;
const STATES = { planned: "", open: "●", done: "✓", missed: "✕", late: "!", paused: "Ⅱ" };

/** How the calendar is shown: the week, 0 for this one; what was chosen; the filter. */
export function newWeek() {
  return { offset: 0, chosen: null, text: "" };
}

/** The days of a week, Monday first: [{from, to}, ...] in milliseconds, by the reader's midnights. */
export function daysOf(offset, now) {
  const { year, month, day, weekday } = partsOf(now);
  const monday = day - ((weekday + 6) % 7) + 7 * offset;
  const midnights = Array.from({ length: 8 }, (_, index) => instantOf(year, month, monday + index));
  return midnights.slice(0, 7).map((from, index) => ({ from, to: midnights[index + 1] }));
}

/** The dates of UTC on which windows open that reach into the week: the first, and how many. */
export function utcDates(days) {
  const start = new Date(days[0].from - LONGEST).toISOString().slice(0, 10);
  return { start, days: Math.ceil((days[6].to - Date.parse(start)) / DAY) };
}

/** The whole section; `calendar` is null until it was fetched. */
export function calendarSection({ calendar, week, scope, now }) {
  const days = daysOf(week.offset, now);
  const windows = calendar ? chosenWindows(calendar.windows, days, week, scope) : [];
  return h(
    "section",
    { "data-key": "windows", "aria-label": "Windows" },
    weekBar(days, week, windows, calendar),
    calendar?.problems.map((problem) =>
      h("div", { class: "note warn", role: "status", "data-key": problem }, foreign(problem)),
    ),
    calendar === null && h("div", { class: "empty" }, h("p", { class: "strong" }, "The windows are being reckoned.")),
    calendar && !windows.length && noWindows(week, scope),
    windows.length > 0 && [
      chosenWindow(windows, week, now),
      h(
        "div",
        { class: "wide" },
        h(
          "div",
          { class: "week" },
          hourHead(),
          days.map((day) => dayRow(day, windows, week, now)),
        ),
      ),
      legend(),
    ],
  );
}

const windowKey = ({ dag_id, opens_at, run_id }) => [dag_id, opens_at, run_id ?? ""].join(" ");

function chosenWindows(windows, days, week, scope) {
  const words = week.text.toLowerCase();
  return windows
    .map((window) => ({ ...window, from: parseTime(window.opens_at), to: parseTime(window.closes_at) }))
    .filter(({ from, to }) => from < days[6].to && to > days[0].from)
    .filter(({ dag_id }) => (!scope.dag_id || dag_id === scope.dag_id) && dag_id.toLowerCase().includes(words))
    .sort((one, other) => one.from - other.from || (one.dag_id < other.dag_id ? -1 : 1));
}

function weekBar(days, week, windows, calendar) {
  const step = (label, value, name) =>
    h(
      "button",
      { type: "button", "data-action": "week", "data-value": value, "data-key": name, "aria-label": name },
      label,
    );
  return h(
    "div",
    { class: "filter" },
    step("←", week.offset - 1, "The week before"),
    step("This week", 0, "This week"),
    step("→", week.offset + 1, "The week after"),
    h("span", { class: "strong dates" }, `${dayText(days[0].from)} to ${dayText(days[6].from)}`),
    h("input", {
      type: "search",
      "data-input": "week-text",
      "aria-label": "Filter by DAG",
      placeholder: "DAG",
      autocomplete: "off",
      spellcheck: "false",
    }),
    h("span", { class: "soft count", role: "status" }, calendar ? countOf(windows.length, "window") : ""),
  );
}

function hourHead() {
  return h(
    "div",
    { class: "hours", "aria-hidden": "true" },
    HOURS.map((hour) => h("span", { style: { left: `${(hour / 24) * 100}%` } }, `${String(hour).padStart(2, "0")}:00`)),
  );
}

function dayRow(day, windows, week, now) {
  const shown = windows.filter(({ from, to }) => from < day.to && to > day.from);
  const lanes = inLanes(shown, day);
  const share = (ms) => (Math.max(0, Math.min(1, (ms - day.from) / (day.to - day.from))) * 100).toFixed(3);
  const isToday = now >= day.from && now < day.to;
  const { year, month, day: date } = partsOf(day.from);
  return h(
    "div",
    {
      class: isToday ? "day today" : "day",
      "data-key": String(day.from),
      role: "group",
      "aria-label": dayText(day.from),
    },
    h("div", { class: "date" }, dayText(day.from), isToday && h("span", { class: "small" }, "today")),
    h(
      "div",
      { class: "lanes", style: { height: `${Math.max(1, lanes.length) * LANE + 6}px` } },
      HOURS.slice(1).map((hour) =>
        h("span", {
          class: "hour",
          "data-key": `hour ${hour}`,
          style: { left: `${share(instantOf(year, month, date, hour))}%` },
        }),
      ),
      lanes.flatMap((lane, index) =>
        lane.map((window) =>
          windowBar(
            window,
            day,
            { left: share(window.from), right: share(window.to), top: index * LANE + 3 },
            week,
            now,
          ),
        ),
      ),
      isToday &&
        h("span", {
          class: "now",
          "data-key": "now",
          title: `now, ${clockText(now)}`,
          style: { left: `${share(now)}%` },
        }),
    ),
  );
}

/** How much of a window is on a day. */
const shownIn = ({ from, to }, day) => Math.min(to, day.to) - Math.max(from, day.from);

/** Windows that overlap, names and all, are one below the other: each in the first lane that is free by then. */
function inLanes(windows, day) {
  const lanes = [];
  const end = (window) => (shownIn(window, day) < SHORT ? window.to + SHORT : window.to);
  for (const window of windows) {
    const free = lanes.find((lane) => end(lane.at(-1)) <= window.from);
    if (free) free.push(window);
    else lanes.push([window]);
  }
  return lanes;
}

function windowBar(window, day, { left, right, top }, week, now) {
  const { dag_id, from, to, state } = window;
  const key = windowKey(window);
  const name = plain(dag_id);
  const span = spanText(from, to, now);
  const isShort = shownIn(window, day) < SHORT && Math.max(from, day.from) + 2 * SHORT < day.to;
  const ends = `${isShort ? " short" : ""}${from < day.from ? " from-before" : ""}${to > day.to ? " goes-beyond" : ""}`;
  return h(
    "button",
    {
      type: "button",
      class: `window ${STATES[state] === undefined ? "" : state}${ends}`,
      "data-key": key,
      "data-action": "window",
      "data-value": key,
      "aria-pressed": week.chosen === key ? "true" : "false",
      "aria-label": `${name}, ${plain(state)}, ${span}`,
      title: `${name}: ${plain(state)}\n${span}\n${utcText(from)} to ${utcText(to)}`,
      style: { left: `${left}%`, width: `${right - left}%`, top: `${top}px` },
    },
    h("span", { class: "line" }, STATES[state] ? `${STATES[state]} ` : "", name),
  );
}

const spanText = (from, to, now) =>
  `${dayText(from)} ${clockText(from)} to ${to - from < DAY && partsOf(from).day === partsOf(to).day ? clockText(to) : timeText(to, now)}`;

/** What is known of the window that was clicked. */
function chosenWindow(windows, week, now) {
  const window = windows.find((each) => windowKey(each) === week.chosen);
  if (!window) return null;
  const { dag_id, run_id, opens_at, closes_at, state, detail } = window;
  return h(
    "div",
    { class: "card chosen", role: "status" },
    h(
      "dl",
      { class: "facts" },
      fact("DAG", dagLink(dag_id)),
      fact("State", plain(state)),
      fact("Opens", time(opens_at, now)),
      fact("Closes", time(closes_at, now)),
      fact("Run", run_id && airflowLink(["dags", dag_id, "runs", run_id], run_id)),
      detail && h("div", { class: "broad" }, h("dt", {}, "What happened"), h("dd", {}, foreign(detail))),
    ),
    h("button", { type: "button", "data-action": "window", "data-value": "" }, "Hide"),
  );
}

function legend() {
  return h(
    "ul",
    { class: "legend", "aria-label": "What the colours mean" },
    Object.entries(STATES).map(([state, sign]) =>
      h(
        "li",
        {},
        h("span", { class: `window key ${state}`, "aria-hidden": "true" }),
        sign ? `${sign} ${state}` : state,
      ),
    ),
    h("li", { class: "zone" }, `Times of ${zoneName()}`),
  );
}

function noWindows(week, scope) {
  if (week.text) return note("calm", "No window of this week matches the filter.");
  return h(
    "div",
    { class: "empty" },
    h(
      "p",
      { class: "strong" },
      scope.dag_id ? "This DAG has no windows in this week." : "No DAG has windows in this week.",
    ),
    h("p", { class: "soft" }, "Windows are of DAGs that are scheduled by PoolWindowTimetable."),
  );
}
