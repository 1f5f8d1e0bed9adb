// A pool's own view: its state, progress and money over time, its runs and operations; and closing it, in two steps.

import { timeChart } from "./charts.js";
import { closeButton, closingParts } from "./closing.js";
import { foreign, h, plain } from "./dom.js";
import { UNKNOWN, ago, count, duration, money, parseTime, percent, roundMoney, runText, time } from "./format.js";
import { closingText, copyable, dagLink, fact, note, reasonText, runLink, statusBadge, taskLink } from "./parts.js";
import { alertList, progress } from "./pools.js";
import { isOpen, nameOf } from "./selection.js";

const MOST_FIGURES = 200;

/** The whole view; `detail` is null until it was fetched. */
export function poolView({ key, detail, closing, now, width }) {
  return h(
    "section",
    { "data-key": `pool ${key}`, "aria-label": "Pool" },
    h("p", { class: "back" }, h("a", { href: "#pools" }, "← All pools")),
    detail
      ? poolParts(detail, closing, now, width)
      : h("div", { class: "empty" }, h("p", {}, "The pool is being fetched.")),
  );
}

function poolParts({ pool, history, runs, operations, message }, closing, now, width) {
  return [
    h(
      "div",
      { class: "title" },
      h("h2", { tabindex: "-1", id: "pool-name" }, foreign(nameOf(pool))),
      statusBadge(pool.status),
      pool.close_reason && h("span", { class: "soft" }, reasonText(pool.close_reason)),
      pool.kind === "training" && h("span", { class: "badge calm" }, "Training"),
      closeButton(pool, closing),
    ),
    message && note("warn", "Toloka did not answer: what is shown is older. ", foreign(message)),
    pool.alerts.length > 0 && h("div", { class: "note bad" }, alertList(pool.alerts)),
    closingParts(pool, closing),
    h("div", { class: "card" }, facts(pool, now)),
    h("div", { class: "charts" }, charts(history, pool, now, width)),
    history.length > 0 && figures(history, pool, now),
    h("div", { class: "card" }, h("h3", {}, "Runs"), runTable(runs, now)),
    h("div", { class: "card" }, h("h3", {}, "Operations"), operationList(operations, now)),
  ];
}

const beneath = (...children) => h("div", { class: "small soft" }, ...children);

function facts(pool, now) {
  const by = pool.opened_by;
  const until = pool.closes_at && parseTime(pool.closes_at) - now;
  return h(
    "dl",
    { class: "facts" },
    fact(
      "Progress",
      progress(pool, now),
      pool.measured_at &&
        beneath(
          "measured ",
          time(pool.measured_at, now, () => ago(pool.measured_at, now)),
        ),
    ),
    fact(
      "Answers",
      count(pool.answers),
      pool.last_answer_at &&
        beneath(
          "the last ",
          time(pool.last_answer_at, now, () => ago(pool.last_answer_at, now)),
        ),
    ),
    fact("Spent", money(pool.spent, pool.currency), beneath(`and ${money(pool.committed, pool.currency)} committed`)),
    fact("Cost an hour", isOpen(pool) ? money(pool.cost_per_hour, pool.currency) : UNKNOWN),
    fact("DAG", dagLink(pool.dag_id)),
    fact(
      "Opened by",
      by?.by_hand ? "by hand" : by?.task_id ? taskLink(by) : null,
      by?.run_id && !by.by_hand && beneath(runLink(by, {}, runText(by.run_id, now))),
    ),
    fact("Opened", pool.opened_at && time(pool.opened_at, now)),
    fact(
      "Closes",
      pool.closes_at && [
        time(pool.closes_at, now, undefined, closingText(pool)),
        isOpen(pool) && beneath(until >= 0 ? `in ${duration(until)}` : `${duration(until)} late`),
      ],
    ),
    fact("Expires", pool.expires_at && time(pool.expires_at, now)),
    fact("A task waits for it", pool.is_waited_for ? "Yes" : "No"),
    fact("Id", foreign(pool.pool_id)),
    fact("Connection", foreign(pool.conn_id)),
    pool.toloka_url &&
      h(
        "div",
        { class: "broad" },
        h("dt", {}, "In Toloka"),
        h("dd", {}, copyable("Address in Toloka", pool.toloka_url)),
      ),
  );
}

function charts(history, pool, now, width) {
  const halves = width >= 820;
  const inner = (halves ? (width - 16) / 2 : width) - 34;
  const points = (...names) =>
    history.map((row) => ({ at: parseTime(row.at), values: names.map((name) => row[name] ?? null) }));
  const share = { name: "share", isArea: true };
  const paid = [
    { name: "spent", isArea: true, words: "spent " },
    { name: "committed", words: "committed " },
  ];
  return [
    chartCard("Progress", null, points("percent"), (measured) =>
      timeChart({
        label: `Progress over time, ${percent(pool.percent)} now`,
        width: inner,
        points: measured,
        series: [share],
        words: percent,
        limit: 100,
        now,
      }),
    ),
    chartCard(
      pool.currency ? `Money, in ${plain(pool.currency)}` : "Money",
      ["spent", "committed"],
      points("spent", "committed"),
      (measured) =>
        timeChart({
          label: `Money over time, ${money(pool.spent, pool.currency)} spent`,
          width: inner,
          points: measured,
          series: paid,
          words: (value) => money(value, pool.currency),
          axisWords: (value) => roundMoney(value, pool.currency),
          now,
        }),
    ),
  ];
}

function chartCard(title, names, points, draw) {
  const isMeasured = points.some(({ values }) => values.some((value) => value !== null));
  const legend =
    names &&
    h(
      "span",
      { class: "legend" },
      names.map((name) => h("span", {}, h("span", { class: `key ${name}`, "aria-hidden": "true" }), name)),
    );
  return h(
    "figure",
    { class: "card", "data-key": title },
    h("figcaption", {}, h("h3", {}, title), legend),
    isMeasured
      ? draw(points)
      : h("p", { class: "soft empty" }, "Nothing was measured: a wait measures if it has a progress_interval or max_spend."),
  );
}

/** The newest measurements as a table, for those who cannot read a chart. */
function figures(history, pool, now) {
  const rows = history.slice(-MOST_FIGURES).reverse();
  return h(
    "details",
    { class: "card" },
    h("summary", {}, "Figures of the charts"),
    h(
      "div",
      { class: "scroll", tabindex: "0", role: "region", "aria-label": "Figures of the charts" },
      h(
        "table",
        { class: "plain", "aria-label": "Figures of the charts" },
        tableHead("Time", "Progress", "Answers", "Spent", "Committed"),
        h(
          "tbody",
          {},
          rows.map((row) =>
            h(
              "tr",
              { "data-key": row.at },
              h("td", {}, time(row.at, now)),
              ...[
                percent(row.percent),
                count(row.answers),
                money(row.spent, pool.currency),
                money(row.committed, pool.currency),
              ].map((text) => h("td", {}, text)),
            ),
          ),
        ),
      ),
    ),
  );
}

const tableHead = (...names) =>
  h(
    "thead",
    {},
    h(
      "tr",
      {},
      names.map((name) => h("th", { scope: "col" }, name)),
    ),
  );

function runTable(runs, now) {
  if (!runs.length) return h("p", { class: "soft" }, "No run of a DAG is known that used it.");
  return h(
    "div",
    { class: "scroll", tabindex: "0", role: "region", "aria-label": "Runs" },
    h(
      "table",
      { class: "plain", "aria-label": "Runs" },
      tableHead("Task", "Run", "Operator", "State", "Started", "Ended"),
      h(
        "tbody",
        {},
        runs.map((run) =>
          h(
            "tr",
            { "data-key": [run.run_id, run.task_id, run.map_index].join(" ") },
            h("td", {}, taskLink(run)),
            h("td", {}, runLink(run)),
            h("td", {}, foreign(run.what)),
            h(
              "td",
              {},
              h(
                "span",
                { class: `badge ${run.state === "failed" ? "bad" : run.state === "success" ? "good" : "calm"}` },
                plain(run.state) || "no state",
              ),
            ),
            h("td", {}, time(run.started_at, now)),
            h("td", {}, time(run.ended_at, now)),
          ),
        ),
      ),
    ),
  );
}

function operationList(operations, now) {
  if (!operations.length) return h("p", { class: "soft" }, "No operation of it is known.");
  return h(
    "ul",
    { class: "operations" },
    operations.map(({ operation_id, type, status, submitted_at, finished_at, log }) =>
      h(
        "li",
        { "data-key": operation_id },
        h(
          "span",
          { class: `badge ${status === "FAIL" ? "bad" : status === "SUCCESS" ? "good" : "calm"}` },
          plain(status).toLowerCase() || "unknown",
        ),
        foreign(type, { class: "strong" }),
        h(
          "span",
          { class: "soft" },
          time(submitted_at, now),
          submitted_at && finished_at ? `, took ${duration(parseTime(finished_at) - parseTime(submitted_at))}` : null,
        ),
        foreign(operation_id, { class: "small soft mono" }),
        log.length > 0 &&
          h("details", {}, h("summary", {}, "Log"), h("pre", { tabindex: "0" }, log.map(plain).join("\n"))),
      ),
    ),
  );
}
