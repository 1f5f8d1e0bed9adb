// Which pools the table shows, and in which order; and what a pool's figures and names are taken for.

import { pathOf } from "./api.js";
import { plain } from "./dom.js";
import { parseTime } from "./format.js";

const collator = new Intl.Collator("en", { numeric: true, sensitivity: "base" });
const STATUS_ORDER = ["OPEN", "LOCKED", "NOT_OPEN", "CLOSED", "ARCHIVED"];

// Column: its head, what it is ordered by, and whether large values come first at the first click.
export const COLUMNS = {
  status: ["Status", (pool) => statusRank(pool), false],
  name: ["Pool", (pool) => nameOf(pool), false],
  opened_by: ["DAG, opened by", (pool) => [pool.dag_id, pool.opened_by?.task_id, pool.opened_by?.run_id].join(" "), false],
  closes_at: ["Closes", (pool) => (isOpen(pool) ? parseTime(pool.closes_at ?? pool.expires_at) : null), false],
  percent: ["Progress", (pool) => pool.percent, true],
  answers: ["Answers", (pool) => pool.answers, true],
  spent: ["Spent", (pool) => pool.spent, true],
  cost_per_hour: ["An hour", (pool) => pool.cost_per_hour, true],
};

export const keyOf = ({ dag_id, conn_id, pool_id }) => pathOf(dag_id, conn_id, pool_id);

export const isOpen = (pool) => pool.status === "OPEN" || pool.status === "LOCKED";

export const nameOf = (pool) =>
  plain(pool.name) || `${pool.kind === "training" ? "Training" : "Pool"} ${plain(pool.pool_id)}`;

const statusOf = (pool) => pool.status ?? "UNKNOWN";

/** How the table is shown; nothing of it is stored. */
export function newTable() {
  return { text: "", status: "", onlyAlerts: false, sort: null, isDescending: false, page: 0 };
}

/** Order by a column, and the other way round at the second click. */
export function sortBy(table, column) {
  table.isDescending = table.sort === column ? !table.isDescending : COLUMNS[column][2];
  table.sort = column;
  table.page = 0;
}

/** The pools that the filter leaves, in the order that was chosen: without one, what needs somebody comes first. */
export function chosenPools(pools, table) {
  const words = table.text.toLowerCase().split(/\s+/).filter(Boolean);
  const chosen = pools.filter(
    (pool) =>
      (!table.status || statusOf(pool) === table.status) &&
      (!table.onlyAlerts || pool.alerts.length) &&
      words.every((word) => searchedText(pool).includes(word)),
  );
  if (!table.sort) return chosen.sort(byUrgency);
  const value = COLUMNS[table.sort][1];
  const sign = table.isDescending ? -1 : 1;
  const valued = chosen.map((pool) => [value(pool), pool]);
  valued.sort(([one, pool], [other, otherPool]) => compare(one, other, sign) || byUrgency(pool, otherPool));
  return valued.map(([, pool]) => pool);
}

const searchedTexts = new WeakMap();

/** What the filter finds a pool by, made once for each pool of an answer. */
function searchedText(pool) {
  if (searchedTexts.has(pool)) return searchedTexts.get(pool);
  const { opened_by: by, alerts } = pool;
  const parts = [
    pool.name,
    pool.pool_id,
    pool.dag_id,
    pool.conn_id,
    by?.run_id,
    by?.task_id,
    ...alerts.map(({ text }) => text),
  ];
  const text = parts.join("\n").toLowerCase();
  searchedTexts.set(pool, text);
  return text;
}

function byUrgency(one, other) {
  return (
    Boolean(other.alerts.length) - Boolean(one.alerts.length) ||
    statusRank(one) - statusRank(other) ||
    compare(COLUMNS.closes_at[1](one), COLUMNS.closes_at[1](other), 1) ||
    compare(parseTime(one.opened_at), parseTime(other.opened_at), -1) ||
    compare(one.pool_id, other.pool_id, 1)
  );
}

const statusRank = ({ status }) => (STATUS_ORDER.includes(status) ? STATUS_ORDER.indexOf(status) : STATUS_ORDER.length);

/** What is unknown comes last, in both orders. */
function compare(one, other, sign) {
  const [isMissing, otherIsMissing] = [one, other].map(
    (value) => value === null || value === undefined || value === "",
  );
  if (isMissing || otherIsMissing) return isMissing - otherIsMissing;
  return sign * (typeof one === "string" ? collator.compare(one, other) : one - other);
}

/** The statuses that there are, by their names. */
export const statusesOf = (pools) => [...new Set(pools.map(statusOf))].sort(collator.compare);
