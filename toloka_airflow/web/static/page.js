// The page "Toloka": what is shown, when it is fetched anew, and what clicks and keys do.

import { CallError, closePool, decoded, fetchCalendar, fetchOverview, fetchPool, scopeOf } from "./api.js";
import { calendarSection, daysOf, newWeek, utcDates } from "./calendar.js";
import { newClosing } from "./closing.js";
import { foreign, h, update } from "./dom.js";
import { clockText, parseTime, readZone } from "./format.js";
import { copy, followInParent } from "./frame.js";
import { copyable } from "./parts.js";
import { poolView } from "./pool.js";
import { poolsSection } from "./pools.js";
import { keyOf, newTable, sortBy } from "./selection.js";

const REFRESH = 10_000;
const root = document.getElementById("page");

const state = {
  scope: scopeOf(location.search),
  route: routeOf(location.hash),
  table: newTable(),
  week: newWeek(),
  closing: newClosing(),
  overview: null,
  detail: null,
  calendar: null,
  // Of each kind of data: when it came, by our clock, and why it did not come the last time.
  fetchedAt: {},
  failure: null,
  // The server's clock minus ours.
  ahead: 0,
  address: null,
  width: root.clientWidth,
};

/** "#pool/DAG/CONNECTION/ID", "#windows", or "#pools", which all else is taken for. */
function routeOf(hash) {
  const [name, ...ids] = hash.slice(1).split("/");
  if (name === "pool" && ids.length === 3) {
    const [dag_id, conn_id, pool_id] = ids.map(decoded);
    return { name, ids: { dag_id, conn_id, pool_id } };
  }
  return { name: name === "windows" ? "windows" : "pools" };
}

// ---- what is shown

function draw() {
  const now = Date.now() + state.ahead;
  const { route, scope, failure } = state;
  const fetched = state.fetchedAt[sourceOf(route)];
  const section = {
    pools: () => (state.overview ? poolsSection({ ...state, now }) : failure ? null : skeleton()),
    windows: () => (state.calendar || !failure ? calendarSection({ ...state, now }) : null),
    pool: () =>
      state.detail || !failure
        ? poolView({ ...state, key: keyOf(route.ids), now })
        : h("p", { class: "back" }, h("a", { href: "#pools" }, "← All pools")),
  }[route.name]();
  const page = h(
    "div",
    { id: "page" },
    h(
      "header",
      {},
      h("h1", {}, "Toloka"),
      scopeText(scope),
      h("nav", { "aria-label": "Sections" }, sectionLink("pools", "Pools"), sectionLink("windows", "Windows")),
      h(
        "span",
        { class: "soft small fetched" },
        fetched
          ? `as of ${clockText(fetched + state.ahead)}:${String(new Date(fetched).getSeconds()).padStart(2, "0")}`
          : "",
      ),
      h("button", { type: "button", "data-action": "refresh" }, "Refresh"),
    ),
    h("main", {}, failure && failureNote(failure, fetched), state.address && addressNote(state.address), section),
  );
  update(root, page);
}

function sectionLink(name, words) {
  const isShown = state.route.name === name || (name === "pools" && state.route.name === "pool");
  return h("a", { href: `#${name}`, "aria-current": isShown ? "page" : null }, words);
}

function scopeText({ dag_id, run_id, task_id, map_index }) {
  if (!dag_id) return null;
  const names = [dag_id, run_id, task_id && (map_index >= 0 ? `${task_id} [${map_index}]` : task_id)].filter(Boolean);
  return h("span", { class: "scope soft line", title: names.join(" / ") }, "of ", foreign(names.at(-1)));
}

function failureNote(failure, fetched) {
  const old = fetched ? ` What is shown is of ${clockText(fetched + state.ahead)}.` : "";
  const again =
    failure.status === 401 || failure.status === 403 || failure.status === 404
      ? ""
      : " It is tried again every 10 seconds.";
  return h(
    "div",
    { class: "note bad", role: "alert", "data-key": "failure" },
    foreign(failure.message),
    `${old}${again}`,
  );
}

function addressNote(address) {
  return h(
    "div",
    { class: "note calm", "data-key": "address" },
    "This page cannot lead there from here. The address: ",
    copyable("Address in Airflow", address),
    h("button", { type: "button", "data-action": "hide-address" }, "Hide"),
  );
}

function skeleton() {
  const line = () => h("div", { class: "skeleton" });
  return h(
    "section",
    { "data-key": "skeleton", "aria-busy": "true", "aria-label": "The pools are being fetched" },
    [1, 2, 3, 4, 5, 6].map(line),
  );
}

// ---- when it is fetched

const sourceOf = (route) => (route.name === "pool" ? `pool ${keyOf(route.ids)}` : route.name);

let timer = null;
let fetches = 0;

/** Fetch what is shown, draw it, and do so again in 10 s; a newer call, such as of another section, replaces it. */
async function refresh() {
  clearTimeout(timer);
  const number = (fetches += 1);
  const { route } = state;
  const source = sourceOf(route);
  const asked = Date.now();
  let failure = null;
  let received = null;
  try {
    received = await fetchOf(route);
  } catch (error) {
    if (!(error instanceof CallError)) throw error;
    failure = error;
  }
  if (number !== fetches) return;
  state.failure = failure;
  if (received) {
    const field = { pools: "overview", windows: "calendar", pool: "detail" }[route.name];
    state[field] = received;
    state.fetchedAt[source] = asked;
    if (received.now) state.ahead = parseTime(received.now) - Date.now();
  }
  schedule();
  draw();
}

function fetchOf(route) {
  if (route.name === "pools") return fetchOverview(state.scope);
  if (route.name === "pool") return fetchPool(route.ids);
  const { start, days } = utcDates(daysOf(state.week.offset, Date.now() + state.ahead));
  return fetchCalendar(start, days);
}

function schedule() {
  clearTimeout(timer);
  if (document.visibilityState === "visible") timer = setTimeout(refresh, REFRESH);
}

document.addEventListener("visibilitychange", () =>
  document.visibilityState === "visible" ? refresh() : clearTimeout(timer),
);

// ---- what clicks and keys do

const actions = {
  refresh,
  sort: (value) => sortBy(state.table, value),
  page: (value) => {
    state.table.page = Number(value);
    root.querySelector("table.pools").scrollIntoView({ block: "start" });
  },
  "clear-filter": () => {
    Object.assign(state.table, { text: "", status: "", onlyAlerts: false, page: 0 });
    for (const field of root.querySelectorAll("[data-input]"))
      field.type === "checkbox" ? (field.checked = false) : (field.value = "");
    document.getElementById("filter-text").focus();
  },
  week: (value) => {
    Object.assign(state.week, { offset: Number(value), chosen: null });
    state.calendar = null;
    refresh();
  },
  window: (value) => (state.week.chosen = state.week.chosen === value ? null : value),
  copy: (_, button) => copy(button),
  "hide-address": () => (state.address = null),
  "ask-to-close": () => askToClose(),
  "keep-open": () => keepOpen(),
  close: () => sendClosing(),
};

root.addEventListener("click", (event) => {
  const link = event.target.closest("a[data-airflow]");
  if (link) {
    if (window.parent === window) return;
    event.preventDefault();
    if (followInParent(link.href)) return;
    state.address = link.href;
    return draw();
  }
  const button = event.target.closest("[data-action]");
  if (button) {
    actions[button.dataset.action](button.dataset.value, button);
    return draw();
  }
  const row = event.target.closest("[data-pool]");
  const isSelecting = String(getSelection()) !== "";
  if (row && !isSelecting && !event.target.closest("a, button")) location.hash = `#pool/${row.dataset.pool}`;
});

root.addEventListener("input", ({ target }) => {
  const name = target.dataset.input;
  if (!name) return;
  if (name === "week-text") state.week.text = target.value.trim();
  else
    Object.assign(state.table, { [name]: target.type === "checkbox" ? target.checked : target.value.trim(), page: 0 });
  draw();
});

root.addEventListener("focusin", ({ target }) => target.matches("[data-copied]") && target.select());

document.addEventListener("keydown", (event) => {
  if (event.defaultPrevented || event.altKey || event.ctrlKey || event.metaKey) return;
  if (event.key === "Escape") return escape(event);
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (step && event.target.matches("a.name")) {
    const names = [...root.querySelectorAll("a.name")];
    names[names.indexOf(event.target) + step]?.focus();
    event.preventDefault();
  }
});

/** Leave what was entered last: the question, the address, the chosen window, the pool. */
function escape(event) {
  if (event.target.matches("input[type=search], select")) return;
  if (state.closing.step === "asked") keepOpen();
  else if (state.address) state.address = null;
  else if (state.route.name === "windows") state.week.chosen = null;
  else if (state.route.name === "pool") location.hash = "#pools";
  draw();
}

addEventListener("hashchange", async () => {
  const left = state.route;
  Object.assign(state, { route: routeOf(location.hash), failure: null, closing: newClosing(), detail: null });
  draw();
  scrollTo(0, 0);
  focusEntry(left);
  await refresh();
  focusEntry(left);
});

/** Put the keyboard where a person goes on, if it is nowhere: on the name of the pool, or in the row that was left. */
function focusEntry(left) {
  if (document.activeElement !== document.body) return;
  if (state.route.name === "pool") document.getElementById("pool-name")?.focus({ preventScroll: true });
  else if (left.name === "pool") root.querySelector(`[data-pool="${CSS.escape(keyOf(left.ids))}"] a.name`)?.focus();
}

// ---- closing a pool

function askToClose() {
  state.closing = { step: "asked", text: "", opened_at: state.detail.pool.opened_at };
  draw();
  document.getElementById("keep-open").focus();
}

function keepOpen() {
  state.closing = newClosing();
  draw();
  document.getElementById("close-now")?.focus();
}

async function sendClosing() {
  if (state.closing.step !== "asked") return;
  const { ids } = state.route;
  const closing = { ...state.closing, step: "sending" };
  const reason = document.getElementById("closing-reason").value.trim();
  state.closing = closing;
  draw();
  try {
    const { text } = await closePool(ids, reason, closing.opened_at);
    Object.assign(closing, { step: "done", text });
  } catch (error) {
    if (!(error instanceof CallError)) throw error;
    Object.assign(closing, { step: "failed", text: error.message });
  }
  if (state.closing !== closing) return;
  draw();
  document.getElementById(closing.step === "done" ? "closing-result" : "close-now")?.focus();
  refresh();
}

// ---- what changes around it

addEventListener("storage", ({ key }) => {
  if (key !== "timezone") return;
  readZone();
  draw();
});

new ResizeObserver(() => {
  const width = root.querySelector("main")?.clientWidth ?? root.clientWidth;
  if (width === state.width) return;
  state.width = width;
  draw();
}).observe(root);

draw();
refresh();
