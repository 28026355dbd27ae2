// Making and updating elements. Data becomes text nodes and attributes, never markup.

const PROPERTIES = new Set(["value", "checked", "disabled", "hidden", "open", "multiple"]);
const FORBIDDEN = new Set(["innerHTML", "outerHTML", "srcdoc", "style"]);

/** An element. A function is a listener; null, undefined and false leave an attribute out. */
export function h(tag, props = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (FORBIDDEN.has(name)) throw new Error(`${name} is not set here`);
    if (typeof value === "function") element.addEventListener(name, value);
    else if (PROPERTIES.has(name)) element[name] = value;
    else if (value === true) element.setAttribute(name, "");
    else if (value !== null && value !== undefined && value !== false) {
      element.setAttribute(name, String(value));
    }
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== ""));
  return element;
}

/** An SVG drawing of 16 by 16, hidden from screen readers: words stand beside it. */
export function icon(path, name = "icon") {
  const space = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(space, "svg");
  svg.setAttribute("viewBox", "0 0 16 16");
  svg.setAttribute("class", name);
  svg.setAttribute("aria-hidden", "true");
  const line = document.createElementNS(space, "path");
  line.setAttribute("d", path);
  svg.append(line);
  return svg;
}

let ids = 0;
export const newId = (prefix) => `${prefix}-${(ids += 1)}`;

export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

const rendered = new WeakMap();

/**
 * Makes the children of `parent` those of `items`, in order. A node stays while `sign(item)` stays,
 * so what did not change keeps its focus, its open details and its place.
 */
export function keyed(parent, items, { key, sign, make }) {
  const before = rendered.get(parent) ?? new Map();
  const after = new Map();
  let place = parent.firstChild;
  for (const item of items) {
    const name = key(item);
    const signature = sign(item);
    let held = before.get(name);
    if (held === undefined || held.signature !== signature) {
      const node = make(item, held === undefined);
      if (held !== undefined) {
        const put = () => {
          if (place === held.node) place = node;
          held.node.replaceWith(node);
        };
        replacing(held.node, node, put);
      }
      held = { node, signature };
    }
    after.set(name, held);
    before.delete(name);
    if (held.node === place) place = place.nextSibling;
    else parent.insertBefore(held.node, place);
  }
  for (const { node } of before.values()) node.remove();
  rendered.set(parent, after);
}

/** Puts `fresh` where `old` was and carries over the focus and which details were open. */
function replacing(old, fresh, put) {
  const focused = old.contains(document.activeElement) ? document.activeElement : null;
  const name = focused?.dataset.focus;
  for (const details of old.querySelectorAll("details[open][data-details]")) {
    const same = [...fresh.querySelectorAll("details[data-details]")];
    const match = same.find((one) => one.dataset.details === details.dataset.details);
    if (match) match.open = true;
  }
  put();
  if (focused === null) return;
  const candidates = [fresh, ...fresh.querySelectorAll("[data-focus]")];
  const next = candidates.find((one) => name !== undefined && one.dataset?.focus === name);
  if (next) {
    next.focus({ preventScroll: true });
    if (typeof focused.selectionStart === "number" && next.value === focused.value) {
      next.setSelectionRange(focused.selectionStart, focused.selectionEnd);
    }
  } else if (fresh.tabIndex >= 0) fresh.focus({ preventScroll: true });
}
