// Elements from data, and an update in place. All text is set as text, never parsed: names are written by others.

const SVG = "http://www.w3.org/2000/svg";
// What the person changes, and what an update must not undo.
const OF_THE_PERSON = new Set(["open", "value", "checked", "selected"]);

/** An HTML element. `style` is an object, set by the object model: the page's policy refuses the attribute. */
export function h(tag, attributes, ...children) {
  return filled(document.createElement(tag), attributes, children);
}

/** An SVG element. */
export function svg(tag, attributes, ...children) {
  return filled(document.createElementNS(SVG, tag), attributes, children);
}

function filled(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (name === "style") {
      for (const [property, text] of Object.entries(value)) element.style.setProperty(property, text);
    } else if (value !== null && value !== undefined && value !== false) {
      element.setAttribute(name, value === true ? "" : String(value));
    }
  }
  // A string child becomes a text node.
  element.append(
    ...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false),
  );
  return element;
}

/**
 * Others' text, isolated from what is around it: without characters that reorder or hide.
 * An empty text is an empty element.
 */
export function foreign(text, attributes) {
  return h("bdi", attributes, plain(text));
}

/** Others' text as one line for an attribute or a label. */
export function plain(text) {
  return String(text ?? "").replace(
    /[\u0000-\u0008\u000b-\u001f\u007f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g,
    "\ufffd",
  );
}

/**
 * Make `old` like `fresh`, by as few changes as possible: focus, scroll positions, selections and what a person typed
 * stay. Children with `data-key` are recognised by it. Listeners belong on ancestors that stay.
 */
export function update(old, fresh) {
  const focused = document.activeElement;
  morph(old, fresh);
  if (focused && focused !== document.activeElement && focused.isConnected) focused.focus({ preventScroll: true });
}

function morph(old, fresh) {
  if (old.nodeType === Node.TEXT_NODE) {
    if (old.data !== fresh.data) old.data = fresh.data;
    return;
  }
  for (const { name } of [...old.attributes]) {
    if (!fresh.hasAttribute(name) && !OF_THE_PERSON.has(name)) old.removeAttribute(name);
  }
  for (const { name, value } of fresh.attributes) {
    if (OF_THE_PERSON.has(name) || old.getAttribute(name) === value) continue;
    if (name === "style") old.style.cssText = fresh.style.cssText;
    else old.setAttribute(name, value);
  }
  morphChildren(old, fresh);
}

function morphChildren(old, fresh) {
  const known = new Map();
  for (const child of old.childNodes) {
    const kind = kindOf(child);
    if (!known.has(kind)) known.set(kind, []);
    known.get(kind).push(child);
  }
  const children = [...fresh.childNodes].map((wanted) => {
    const found = known.get(kindOf(wanted))?.shift();
    if (found) morph(found, wanted);
    return found ?? wanted;
  });
  // Before the others get their places, so that what stays is not moved: a moved element loses the focus.
  for (const left of known.values()) for (const child of left) child.remove();
  let place = old.firstChild;
  for (const child of children) {
    if (child === place) place = place.nextSibling;
    else old.insertBefore(child, place);
  }
}

/** Children of the same kind may become each other; those with a key only if it is the same. */
function kindOf(node) {
  const key = node.nodeType === Node.ELEMENT_NODE ? node.getAttribute("data-key") : null;
  return key === null ? node.nodeName : `${node.nodeName} ${key}`;
}
