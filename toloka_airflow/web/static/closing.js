// Closing a pool, in two steps: the button is in the title of its view, the question beneath.

import { foreign, h, plain } from "./dom.js";
import { note } from "./parts.js";

/** How the closing of a pool stands: not begun, asked, being sent, done, failed. */
export function newClosing() {
  return { step: "not begun", text: "" };
}

/** The first step. */
export function closeButton(pool, { step }) {
  if (!canClose(pool) || !["not begun", "failed"].includes(step)) return null;
  const attributes = { type: "button", id: "close-now", "data-action": "ask-to-close", class: "danger" };
  return h("button", attributes, "Close now");
}

const canClose = (pool) => pool.status === "OPEN" && pool.may_close;

/** The second step, what became of it, or why there is no first one. */
export function closingParts(pool, { step, text }) {
  if (step === "done")
    return h("div", { class: "note good", role: "status", tabindex: "-1", id: "closing-result" }, foreign(text));
  if (pool.status !== "OPEN") return step === "asked" ? note("calm", "It is not open any more.") : null;
  if (!pool.may_close) {
    return note(
      "calm",
      "Closing it takes the right to change the task instances of ",
      foreign(pool.dag_id),
      ", which you do not have.",
    );
  }
  if (step === "failed") return note("bad", "It was not closed: ", foreign(text));
  return step === "not begun" ? null : closingQuestion(pool, step === "sending");
}

function closingQuestion(pool, isSending) {
  const name = `${pool.kind === "training" ? "training" : "pool"} ${plain(pool.pool_id)}`;
  return h(
    "div",
    { class: "note confirm", role: "group", "aria-labelledby": "closing-question", "data-key": "closing" },
    h("p", { class: "strong", id: "closing-question" }, `Close ${name} now?`),
    h(
      "p",
      {},
      "Toloka gives out no more tasks of it; the answers that it has stay. Airflow's audit log says that it was you.",
    ),
    h(
      "label",
      {},
      "Reason, if you want to give one",
      h("input", { type: "text", id: "closing-reason", maxlength: "200", autocomplete: "off" }),
    ),
    h(
      "p",
      { class: "actions" },
      h(
        "button",
        { type: "button", "data-action": "close", class: "danger", disabled: isSending },
        isSending ? "Closing …" : `Close ${name} now`,
      ),
      h("button", { type: "button", id: "keep-open", "data-action": "keep-open", disabled: isSending }, "Keep open"),
    ),
  );
}
