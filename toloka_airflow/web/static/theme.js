// Airflow's light or dark theme: it is a class of the parent's document, and no media query knows of it.

const own = document.documentElement;
const media = matchMedia("(prefers-color-scheme: dark)");

/** The root element of the Airflow page around us; null where there is none, or it is of another origin. */
function airflowRoot() {
  try {
    return window.parent === window ? null : window.parent.document.documentElement;
  } catch {
    return null;
  }
}

const root = airflowRoot();

function apply() {
  const classes = root?.classList;
  const isKnown = classes?.contains("dark") || classes?.contains("light");
  const isDark = isKnown ? classes.contains("dark") : media.matches;
  own.dataset.theme = isDark ? "dark" : "light";
  // Airflow's background, as its shades of dark are not ours.
  const backgrounds = isKnown
    ? [root.ownerDocument.body, root].map((element) => getComputedStyle(element).backgroundColor)
    : [];
  own.style.setProperty("--page", backgrounds.find((colour) => colour !== "rgba(0, 0, 0, 0)") ?? "");
}

apply();
media.addEventListener("change", apply);
if (root) {
  new MutationObserver(apply).observe(root, { attributes: true, attributeFilter: ["class"] });
}
