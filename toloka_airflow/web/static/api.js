// The calls of the page, all relative to its own address, and the ids of the tab that it is shown in.

const TIMEOUT = 30_000;

/** Why there are no data; `status` is null where there was no answer. */
export class CallError extends Error {
  constructor(message, status = null) {
    super(message);
    this.status = status;
  }
}

/**
 * The DAG, run and task of the tab, from the query of the page's address.
 *
 * Airflow 3.1 puts a run id as it is into the address, where "+" is not meant as a space, so it is not read as one.
 * Names that Airflow had nothing for stay in braces: they are left out, and without a map index it is -1.
 */
export function scopeOf(search) {
  const scope = {};
  for (const pair of search.replace(/^\?/, "").split("&")) {
    const [name, ...rest] = pair.split("=");
    const value = decoded(rest.join("="));
    if (["dag_id", "run_id", "task_id", "map_index"].includes(name) && value && !/^\{\w+\}$/.test(value))
      scope[name] = value;
  }
  if (!/^\d+$/.test(scope.map_index ?? "")) delete scope.map_index;
  if (scope.task_id) scope.map_index ??= "-1";
  return scope;
}

/** A part of an address as text; one that is not encoded rightly stays as it is. */
export function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

// The last overview; only in memory, like all data of the page.
let overview = {};

/** The overview of the one scope that the page has; the server leaves out pools that have not changed since. */
export async function fetchOverview(scope) {
  const known = overview;
  const asked = known.version ? { ...scope, known: known.version } : scope;
  overview = { ...known, ...(await call(`api/overview?${new URLSearchParams(asked)}`)) };
  return overview;
}

export const fetchPool = (key) => call(poolPath(key));

/** @param start A date in UTC, such as 2026-11-30. */
export const fetchCalendar = (start, days) => call(`api/calendar?${new URLSearchParams({ start, days })}`);

/** @param opened_at What was shown of the pool when it was confirmed: an opening that came later is not closed. */
export function closePool(key, reason, opened_at) {
  const headers = { "Content-Type": "application/json", "X-Toloka-Airflow": "1" };
  return call(`${poolPath(key)}/close`, { method: "POST", headers, body: JSON.stringify({ reason, opened_at }) });
}

const poolPath = ({ dag_id, conn_id, pool_id }) => `api/pools/${pathOf(dag_id, conn_id, pool_id)}`;

/** Names as parts of an address, whatever is in them. */
export const pathOf = (...names) => names.map((name) => encodeURIComponent(String(name).toWellFormed())).join("/");

async function call(path, options = {}) {
  let answer;
  try {
    answer = await fetch(path, { cache: "no-store", signal: AbortSignal.timeout(TIMEOUT), ...options });
  } catch {
    throw new CallError("Airflow's API server did not answer.");
  }
  const isJson = answer.headers.get("Content-Type")?.startsWith("application/json");
  const body = isJson ? await answer.json().catch(() => null) : null;
  if (answer.ok && body !== null) return body;
  if (answer.ok) throw new CallError("Airflow's API server answered with something else than data.", answer.status);
  throw new CallError(reasonOf(answer.status, body), answer.status);
}

function reasonOf(status, body) {
  if (status === 401) return "You are signed out. Sign in to Airflow and load this page again.";
  if (typeof body?.detail === "string") return body.detail;
  return status === 403 ? "You have no right to this." : `Airflow's API server answered ${status}.`;
}
