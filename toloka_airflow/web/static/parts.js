// What several sections of the page show: statuses, marks, links into Airflow, notes.

import { pathOf } from "./api.js";
import { foreign, h, plain } from "./dom.js";
import { UNKNOWN, ago, money } from "./format.js";

const STATUSES = {
  OPEN: ["Open", "good"],
  CLOSED: ["Closed", "calm"],
  ARCHIVED: ["Archived", "calm"],
  LOCKED: ["Locked", "warn"],
  NOT_OPEN: ["Not open", "calm"],
  UNKNOWN: ["Unknown", "calm"],
};
const CONNECTIONS = {
  fresh: ["good", (at) => `fetched ${at}`],
  old: ["warn", (at) => `figures are from ${at}`],
  down: ["bad", (at) => (at ? `no answer, figures are from ${at}` : "no answer yet")],
  loading: ["calm", () => "is being fetched"],
};

/** A status as a coloured word; one that is not known is shown as it came. */
export const statusBadge = (status) =>
  h("span", { class: `badge ${STATUSES[status]?.[1] ?? "calm"}` }, statusText(status));

export const statusText = (status) => STATUSES[status]?.[0] ?? (plain(status) || "Unknown");

/** "COMPLETED" as "completed"; none is nothing. */
export function reasonText(reason) {
  return reason ? plain(reason).toLowerCase().replaceAll("_", " ") : "";
}

/**
 * A link to a page of Airflow. A click is carried out by the parent's document (page.js), as this one is in a frame.
 *
 * @param path Parts of the address behind Airflow's own, such as ["dags", "label_digits"].
 */
export function airflowLink(path, text, attributes = {}) {
  const href = `../${pathOf(...path)}`;
  return h("a", { href, "data-airflow": true, ...attributes }, foreign(text));
}

export const dagLink = (dagId, attributes) => airflowLink(["dags", dagId], dagId, attributes);

export const runLink = ({ dag_id, run_id }, attributes, text = run_id) =>
  airflowLink(["dags", dag_id, "runs", run_id], text, { title: plain(run_id), ...attributes });

export function taskLink({ dag_id, run_id, task_id, map_index }, attributes) {
  const isMapped = map_index !== null && map_index !== undefined && map_index >= 0;
  const path = ["dags", dag_id, "runs", run_id, "tasks", task_id, ...(isMapped ? ["mapped", map_index] : [])];
  return airflowLink(path, isMapped ? `${task_id} [${map_index}]` : task_id, attributes);
}

/** Whose the time is at which a pool is closed, if that is another DAG than the one whose row it is. */
export const closingText = ({ closed_by_dag_id }) => (closed_by_dag_id ? `Set by the DAG ${plain(closed_by_dag_id)}` : "");

/** A sentence in a box: `tone` is bad, warn, good or calm. Bad ones are read out at once. */
export function note(tone, ...children) {
  return h("div", { class: `note ${tone}`, role: tone === "bad" ? "alert" : "status" }, ...children);
}

/** An address or an id to copy, as the frame may open no new windows. */
export function copyable(label, text) {
  const field = h("input", {
    class: "copy-field",
    readonly: true,
    "aria-label": label,
    "data-copied": true,
    value: plain(text),
  });
  return h("span", { class: "copyable" }, field, h("button", { type: "button", "data-action": "copy" }, "Copy"));
}

/** Each connection: whether its figures are fresh, and the money left on it. */
export function connectionList(connections, now) {
  return h(
    "ul",
    { class: "connections", "aria-label": "Connections" },
    connections.map((connection) => {
      const [tone, words] = CONNECTIONS[connection.state] ?? ["calm", () => plain(connection.state)];
      const { conn_id, fetched_at, balance, currency, message } = connection;
      return h(
        "li",
        { "data-key": conn_id, title: message ? plain(message) : null },
        h("span", { class: `dot ${tone}`, "aria-hidden": "true" }),
        foreign(conn_id, { class: "strong" }),
        ` ${words(fetched_at && ago(fetched_at, now))}`,
        balance !== null && balance !== undefined && ` · balance ${money(balance, currency)}`,
      );
    }),
  );
}

/** A sentence for each connection whose figures are old. */
export function connectionNotes(connections, now) {
  return connections
    .filter(({ state }) => state === "down" || state === "old")
    .map(({ conn_id, fetched_at, message }) =>
      h(
        "div",
        { class: "note warn", role: "status", "data-key": conn_id },
        "Toloka did not answer for the connection ",
        foreign(conn_id, { class: "strong" }),
        fetched_at
          ? `: its figures are ${ago(fetched_at, now).replace(/ ago$/, "")} old. `
          : ": there are no figures of it. ",
        message && foreign(message),
      ),
    );
}

/** A term and what is known of it. */
export function fact(term, ...values) {
  const known = values
    .flat()
    .filter((value) => value !== null && value !== undefined && value !== "" && value !== false);
  return h("div", {}, h("dt", {}, term), h("dd", {}, known.length ? known : UNKNOWN));
}
