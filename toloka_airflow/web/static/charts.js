// A chart of figures over time: lines and areas, axes with words, and what each measurement says on hover.

import { svg } from "./dom.js";
import { clockText, dateText, partsOf, instantOf, timeText } from "./format.js";

const HEIGHT = 190;
const MARGIN = { top: 22, right: 24, bottom: 26 };
const LETTER = 7;
const MOST_POINTS = 240;
const HOUR = 3_600_000;
const TIME_STEPS = [1 / 60, 1 / 12, 1 / 4, 1 / 2, 1, 2, 3, 6, 12, 24, 48, 168, 336, 672].map((hours) => hours * HOUR);

/**
 * @param label What a screen reader says of it.
 * @param points [{at: ms, values: [number or null, ...]}, ...], by time.
 * @param series [{name: class of the line, isArea}, ...], for each of the values.
 * @param words A value as text, and `axisWords` beside the axis.
 * @param limit The largest value of the axis, where that is known.
 */
export function timeChart({ label, width, points, series, words, axisWords = words, limit, now }) {
  const shown = thinned(points);
  const [from, to] = spanOf(shown);
  const highest = Math.max(0, ...shown.flatMap(({ values }) => values.filter((value) => value !== null)));
  const ticks = valueTicks(limit ?? highest);
  const top = ticks.at(-1);
  const left = 14 + LETTER * Math.max(...ticks.map((tick) => axisWords(tick).length));
  const x = (ms) => left + ((ms - from) / (to - from)) * (width - left - MARGIN.right);
  const y = (value) => HEIGHT - MARGIN.bottom - (value / top) * (HEIGHT - MARGIN.top - MARGIN.bottom);
  return svg(
    "svg",
    { class: "chart", width, height: HEIGHT, viewBox: `0 0 ${width} ${HEIGHT}`, role: "img", "aria-label": label },
    ticks.map((tick) => [
      svg("line", { class: "grid", x1: left, x2: width - MARGIN.right, y1: y(tick), y2: y(tick) }),
      svg("text", { class: "axis end", x: left - 8, y: y(tick) + 4 }, axisWords(tick)),
    ]),
    timeTicks(from, to, width - left - MARGIN.right).map(({ at, text }) => [
      svg("line", { class: "tick", x1: x(at), x2: x(at), y1: y(0), y2: y(0) + 4 }),
      svg("text", { class: "axis middle", x: x(at), y: HEIGHT - 8 }, text),
    ]),
    series.map(({ name, isArea }, index) => [
      isArea && svg("path", { class: `area ${name}`, d: areaPath(shown, index, x, y) }),
      svg("path", { class: `line ${name}`, d: linePath(shown, index, x, y) }),
    ]),
    shown.length === 1 && series.map(({ name }, index) => dot(shown[0], index, name, x, y)),
    shown.map((point, index) => reading(point, { index, shown, series, words, left, width, now, x, y })),
  );
}

/** Every n-th point, and the last, so that a wait of a month is as fast to draw as one of a day. */
function thinned(points) {
  const step = Math.ceil(points.length / MOST_POINTS);
  return points.filter((_, index) => index % step === 0 || index === points.length - 1);
}

/** A single measurement has its hour. */
function spanOf(points) {
  const [first, last] = [points[0].at, points.at(-1).at];
  return last > first ? [first, last] : [first - HOUR / 2, first + HOUR / 2];
}

function linePath(points, index, x, y) {
  let isDrawn = false;
  let path = "";
  for (const { at, values } of points) {
    const value = values[index];
    if (value !== null) path += `${isDrawn ? "L" : "M"}${x(at).toFixed(1)} ${y(value).toFixed(1)}`;
    isDrawn = value !== null;
  }
  return path;
}

function areaPath(points, index, x, y) {
  const known = points.filter(({ values }) => values[index] !== null);
  if (known.length < 2) return "";
  const base = y(0).toFixed(1);
  return `${linePath(known, index, x, y)}L${x(known.at(-1).at).toFixed(1)} ${base}L${x(known[0].at).toFixed(1)} ${base}Z`;
}

function dot({ at, values }, index, name, x, y) {
  return values[index] !== null && svg("circle", { class: `dot ${name}`, cx: x(at), cy: y(values[index]), r: 3 });
}

/** What is shown while the pointer is nearest to a measurement. */
function reading(point, { index, shown, series, words, left, width, now, x, y }) {
  const edge = (other) => (other ? (x(point.at) + x(other.at)) / 2 : null);
  const start = edge(shown[index - 1]) ?? left;
  const end = edge(shown[index + 1]) ?? width - MARGIN.right;
  const text = [
    timeText(point.at, now),
    ...point.values.map((value, nth) => value !== null && `${series[nth].words ?? ""}${words(value)}`),
  ];
  return svg(
    "g",
    { class: "reading" },
    svg("rect", {
      class: "catch",
      x: start,
      y: MARGIN.top,
      width: Math.max(1, end - start),
      height: HEIGHT - MARGIN.top - MARGIN.bottom,
    }),
    svg("line", { class: "at", x1: x(point.at), x2: x(point.at), y1: MARGIN.top, y2: y(0) }),
    series.map(({ name }, nth) => dot(point, nth, name, x, y)),
    svg("text", { class: "said end", x: width - MARGIN.right, y: 12 }, text.filter(Boolean).join(" · ")),
  );
}

/** Round values from 0 up to one that holds the largest: four steps or five. */
function valueTicks(highest) {
  if (!(highest > 0)) return [0, 1];
  const rough = highest / 4;
  const unit = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].map((factor) => factor * unit).find((candidate) => candidate >= rough * 0.999);
  return Array.from({ length: Math.ceil(highest / step - 0.001) + 1 }, (_, index) =>
    Number((index * step).toPrecision(6)),
  );
}

/** Round times of the reader's clock, as many as fit: the day where a tick is a midnight, and else the hour. */
function timeTicks(from, to, width) {
  const most = Math.max(2, Math.floor(width / 72));
  const step = TIME_STEPS.find((candidate) => (to - from) / candidate <= most) ?? TIME_STEPS.at(-1);
  const { year, month, day } = partsOf(from);
  const ticks = [];
  for (let number = 0, at = instantOf(year, month, day); at <= to; number += 1) {
    // By days of the calendar, which are not all of 24 hours.
    at =
      step >= 24 * HOUR
        ? instantOf(year, month, day + (number * step) / (24 * HOUR))
        : instantOf(year, month, day) + number * step;
    if (at < from || at > to) continue;
    const isMidnight = clockText(at) === "00:00";
    ticks.push({ at, text: isMidnight ? dateText(at) : clockText(at) });
  }
  return ticks;
}
