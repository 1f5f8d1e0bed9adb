// What the frame does not let a page do by itself: lead to Airflow's pages, open windows.

/**
 * Have the parent's document follow a link, as the frame may neither navigate it nor open a window.
 *
 * Airflow's own link to the same address is preferred: it does not load Airflow anew. Returns whether it worked.
 */
export function followInParent(address) {
  try {
    const airflow = window.parent.document;
    const own = [...airflow.querySelectorAll("a[href]")].find(({ href }) => href === address);
    if (own) {
      own.click();
      return true;
    }
    const made = airflow.createElement("a");
    made.href = address;
    airflow.body.append(made);
    made.click();
    made.remove();
    return true;
  } catch {
    return false;
  }
}

/** Copy what is in the field beside a button. */
export function copy(button) {
  const field = button.parentElement.querySelector("input");
  field.select();
  // The clipboard's own interface is missing where Airflow is not served by https.
  const isCopied = document.execCommand("copy");
  button.textContent = isCopied ? "Copied" : "Press Ctrl+C";
  if (isCopied) button.focus();
}
