// The section "Pools": all pools and trainings as a table, with totals, a filter, an order and pages.

import { foreign, h } from "./dom.js";
import {
  UNKNOWN,
  count,
  countOf,
  dateText,
  duration,
  money,
  parseTime,
  percent,
  roughDuration,
  runText,
  time,
} from "./format.js";
import {
  closingText,
  connectionList,
  connectionNotes,
  dagLink,
  note,
  reasonText,
  statusBadge,
  statusText,
  taskLink,
  runLink,
} from "./parts.js";
import { COLUMNS, chosenPools, isOpen, keyOf, nameOf, statusesOf } from "./selection.js";

const PAGE_SIZE = 50;

/** The whole section. */
export function poolsSection({ overview, table, scope, now }) {
  const { connections, pools, totals, is_cut } = overview;
  const chosen = chosenPools(pools, table);
  return h(
    "section",
    { "data-key": "pools", "aria-label": "Pools" },
    connectionList(connections, now),
    connectionNotes(connections, now),
    is_cut && note("warn", `Only ${countOf(pools.length, "pool")} are shown and counted: there are more.`),
    pools.length
      ? [
          totalTiles(pools, totals),
          filterBar(pools, chosen, table),
          chosen.length ? poolTable(chosen, table, now) : noMatch(),
        ]
      : noPools(connections, scope),
  );
}

function totalTiles(pools, totals) {
  const { currency } = totals;
  const tiles = [
    ["Open now", count(totals.open), ""],
    ["Red marks", count(totals.alerts), totals.alerts ? "bad" : ""],
    ["Spent", money(totals.spent, currency), ""],
    ["Committed", money(totals.committed, currency), ""],
    ["Cost an hour", money(totals.cost_per_hour, currency), ""],
  ];
  return h(
    "dl",
    { class: "tiles", "aria-label": "Totals" },
    tiles.map(([name, figure, tone]) =>
      h("div", { class: "tile" }, h("dt", {}, name), h("dd", { class: tone }, figure)),
    ),
  );
}

function filterBar(pools, chosen, table) {
  const statuses = statusesOf(pools);
  const isFiltered = table.text || table.status || table.onlyAlerts;
  const total = countOf(pools.length, "pool");
  return h(
    "div",
    { class: "filter", role: "search", "aria-label": "Filter of pools" },
    h("input", {
      type: "search",
      id: "filter-text",
      "data-input": "text",
      "aria-label": "Filter by name, id, DAG or run",
      placeholder: "Name, id, DAG or run",
      autocomplete: "off",
      spellcheck: "false",
    }),
    h(
      "select",
      { "data-input": "status", "aria-label": "Status" },
      h("option", { value: "" }, "All statuses"),
      statuses.map((status) => h("option", { value: status, "data-key": status }, statusText(status))),
    ),
    h("label", { class: "check" }, h("input", { type: "checkbox", "data-input": "onlyAlerts" }), "Only with red marks"),
    h("span", { class: "soft count", role: "status" }, isFiltered ? `${count(chosen.length)} of ${total}` : total),
  );
}

function poolTable(chosen, table, now) {
  const pages = Math.ceil(chosen.length / PAGE_SIZE);
  const page = Math.min(table.page, pages - 1);
  const shown = chosen.slice(page * PAGE_SIZE, (page + 1) * PAGE_SIZE);
  return [
    h(
      "div",
      { class: "wide" },
      h(
        "table",
        { class: "pools", "aria-label": "Pools and trainings" },
        h(
          "colgroup",
          {},
          Object.keys(COLUMNS).map((column) => h("col", { class: `col-${column}`, "data-key": column })),
        ),
        h(
          "thead",
          {},
          h(
            "tr",
            {},
            Object.keys(COLUMNS).map((column) => columnHead(column, table)),
          ),
        ),
        shown.map((pool) => poolRow(pool, now)),
      ),
    ),
    pages > 1 && pager(page, pages, chosen.length),
  ];
}

function columnHead(column, table) {
  const isSorted = table.sort === column;
  const direction = table.isDescending ? "descending" : "ascending";
  const sign = isSorted ? (table.isDescending ? "↓" : "↑") : "";
  return h(
    "th",
    { scope: "col", class: `col-${column}`, "data-key": column, "aria-sort": isSorted ? direction : "none" },
    h(
      "button",
      { type: "button", "data-action": "sort", "data-value": column },
      COLUMNS[column][0],
      h("span", { class: "sign", "aria-hidden": "true" }, sign),
    ),
  );
}

/** A pool is a body of its own, as its red marks are a second row. */
function poolRow(pool, now) {
  const key = keyOf(pool);
  const hasAlerts = pool.alerts.length > 0;
  return h(
    "tbody",
    { "data-key": key, "data-pool": key, class: hasAlerts ? "pool marked" : "pool" },
    h(
      "tr",
      {},
      h(
        "td",
        {},
        statusBadge(pool.status),
        pool.close_reason && h("div", { class: "small soft" }, reasonText(pool.close_reason)),
      ),
      h(
        "th",
        { scope: "row" },
        nameLink(pool, key),
        h(
          "div",
          { class: "small soft line" },
          pool.kind === "training" && "training ",
          foreign(pool.pool_id),
          " · ",
          foreign(pool.conn_id),
        ),
      ),
      h("td", {}, openedBy(pool, now)),
      h("td", {}, closing(pool, now)),
      h("td", {}, progress(pool, now)),
      h(
        "td",
        { class: "number" },
        count(pool.answers),
        h(
          "div",
          { class: "small soft" },
          pool.last_answer_at
            ? time(
                pool.last_answer_at,
                now,
                () => `${roughDuration(Math.max(0, now - parseTime(pool.last_answer_at)))} ago`,
              )
            : "",
        ),
      ),
      h(
        "td",
        { class: "number" },
        money(pool.spent, pool.currency),
        pool.committed ? h("div", { class: "small soft" }, `+ ${money(pool.committed, pool.currency)}`) : null,
      ),
      h(
        "td",
        { class: "number" },
        isOpen(pool) ? money(pool.cost_per_hour, pool.currency) : h("span", { class: "soft" }, UNKNOWN),
      ),
    ),
    hasAlerts &&
      h(
        "tr",
        { class: "marks" },
        h("td", {}),
        h("td", { colspan: Object.keys(COLUMNS).length - 1 }, alertList(pool.alerts)),
      ),
  );
}

function nameLink(pool, key) {
  return h("a", { href: `#pool/${key}`, class: "name", title: nameOf(pool) }, foreign(nameOf(pool)));
}

/** Red marks, each with its words. */
export function alertList(alerts) {
  return h(
    "ul",
    { class: "alerts" },
    alerts.map(({ kind, text }) =>
      h("li", { "data-key": kind }, h("span", { class: "mark", "aria-hidden": "true" }, "!"), foreign(text)),
    ),
  );
}

/** The DAG whose tasks name the pool, and beneath it the task and the run that opened it, which may be of another one. */
function openedBy(pool, now) {
  const by = pool.opened_by;
  const lines = by?.by_hand
    ? ["by hand"]
    : [
        by && by.dag_id !== pool.dag_id && dagLink(by.dag_id, { class: "line" }),
        by?.task_id && taskLink(by, { class: "line" }),
        by?.run_id && runLink(by, { class: "line" }, runText(by.run_id, now)),
        !by && isOpen(pool) && "opener unknown",
      ];
  return [
    dagLink(pool.dag_id, { class: "line" }),
    lines.filter(Boolean).map((line) => h("div", { class: "small soft" }, line)),
  ];
}

/** When it will be closed, and when Toloka closes it by itself. */
function closing(pool, now) {
  if (!isOpen(pool)) return h("span", { class: "soft" }, UNKNOWN);
  const ms = parseTime(pool.closes_at);
  const whose = closingText(pool);
  const rest = ms === null ? "no time is set" : ms >= now ? `in ${duration(ms - now)}` : `${duration(now - ms)} late`;
  return [
    ms === null ? null : time(pool.closes_at, now, undefined, whose),
    h("div", { class: ms !== null && ms < now ? "small bad" : "small soft", title: whose || null }, rest),
    pool.expires_at &&
      h(
        "div",
        { class: "small soft" },
        "expires ",
        time(pool.expires_at, now, () => dateText(parseTime(pool.expires_at))),
      ),
  ];
}

/** A bar with the share in words; rate and time left beneath. */
export function progress(pool, now) {
  const { percent: share, answers_per_hour: rate, ends_at } = pool;
  const left =
    isOpen(pool) && ends_at && parseTime(ends_at) > now ? `${roughDuration(parseTime(ends_at) - now)} left` : null;
  const notes = [isOpen(pool) && rate !== null && rate !== undefined ? `${count(rate)}/h` : null, left].filter(Boolean);
  const width = share === null || share === undefined ? null : Math.max(0, Math.min(100, share));
  return [
    h(
      "div",
      { class: "progress" },
      width === null
        ? h("span", { class: "soft" }, UNKNOWN)
        : [
            h(
              "span",
              { class: "bar", "aria-hidden": "true" },
              h("span", { class: "fill", style: { width: `${width}%` } }),
            ),
            h("span", { class: "share" }, percent(share)),
          ],
    ),
    notes.length ? h("div", { class: "small soft" }, notes.join(" · ")) : null,
  ];
}

function pager(page, pages, total) {
  const step = (label, value, isOff) =>
    h("button", { type: "button", "data-action": "page", "data-value": value, disabled: isOff }, label);
  return h(
    "nav",
    { class: "pager", "aria-label": "Pages of the table" },
    step("Previous", page - 1, page === 0),
    h(
      "span",
      { role: "status" },
      `${count(page * PAGE_SIZE + 1)} to ${count(Math.min(total, (page + 1) * PAGE_SIZE))} of ${count(total)}`,
    ),
    step("Next", page + 1, page === pages - 1),
  );
}

function noMatch() {
  return h(
    "div",
    { class: "empty" },
    h("p", { class: "strong" }, "No pool matches the filter."),
    h("button", { type: "button", "data-action": "clear-filter" }, "Clear the filter"),
  );
}

function noPools(connections, scope) {
  if (connections.some(({ state }) => state === "loading")) {
    return h("div", { class: "empty" }, h("p", { class: "strong" }, "The pools are being fetched from Toloka."));
  }
  const what = scope.task_id ? "this task" : scope.run_id ? "this run" : scope.dag_id ? "this DAG" : null;
  return h(
    "div",
    { class: "empty" },
    h(
      "p",
      { class: "strong" },
      what ? `No pool or training of ${what} is known.` : "No pool or training is known yet.",
    ),
    h("p", { class: "soft" }, "What tasks with operators of toloka_airflow create, open or wait for appears here."),
  );
}
