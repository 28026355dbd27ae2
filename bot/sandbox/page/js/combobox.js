// A field with a list that can be searched: every select of Block Kit, one choice or many.
// Source of the behaviour: W3C, "ARIA Authoring Practices: combobox with list autocomplete".

import { h, icon, keyed, newId } from "./dom.js";

const PAUSE_MS = 150;
const CROSS = "M4 4l8 8 M12 4l-8 8";
const DOWN = "M3.5 6l4.5 4.5L12.5 6";

/**
 * A combobox. `options`: a list of {text, value, note?, group?}; or `load(query)`, which promises
 * one or throws an error with a sentence. `chosen`: the options chosen at first.
 * `changed(chosen)` is called with the list after each choice.
 */
export function combobox({
  options = null,
  load = null,
  chosen = [],
  many = false,
  most = 100,
  clearable = false,
  placeholder = "",
  minimum = 0,
  labels = {},
  focusName = "",
  changed,
}) {
  let picked = [...chosen];
  let shown = [];
  let active = -1;
  let turn = 0;
  let waiting = null;

  const listId = newId("list");
  const list = h("ul", { class: "options", id: listId, role: "listbox", popover: "manual" });
  if (many) list.setAttribute("aria-multiselectable", "true");
  const input = h("input", {
    type: "text",
    role: "combobox",
    autocomplete: "off",
    spellcheck: "false",
    "aria-autocomplete": "list",
    "aria-expanded": "false",
    "aria-controls": listId,
    "data-focus": focusName,
    placeholder: placeholder || (load ? "Type to search" : "Choose"),
    ...labels,
  });
  const chips = h("span", { class: "chips" });
  const clear = h(
    "button",
    {
      type: "button",
      class: "plain-icon",
      "aria-label": "Clear the choice",
      click: () => pick(null),
    },
    icon(CROSS),
  );
  const box = h("div", { class: "combo" }, chips, input, clear, icon(DOWN), list);

  const isOpen = () => list.matches(":popover-open");
  const same = (one, two) => one.value === two.value;

  function drawChosen() {
    // Those that stay are not made anew: a click on one takes the focus off the field first.
    keyed(chips, many ? picked : [], {
      key: (option) => option.value,
      sign: (option) => option.text,
      make: (option) => {
        const label = `Remove ${option.text}`;
        const props = { type: "button", class: "chip", "aria-label": label };
        return h("button", { ...props, click: () => toggle(option) }, option.text, icon(CROSS));
      },
    });
    if (!many && !isOpen()) input.value = picked[0]?.text ?? "";
    clear.hidden = many || !clearable || picked.length === 0;
  }

  async function open(query = "") {
    if (!isOpen()) {
      list.showPopover();
      input.setAttribute("aria-expanded", "true");
      place();
    }
    const mine = (turn += 1);
    if (!load) {
      draw(options.filter((one) => one.text.toLowerCase().includes(query.toLowerCase())));
      return;
    }
    if (query.length < minimum) {
      note(`Type at least ${minimum} letter${minimum === 1 ? "" : "s"}.`);
      return;
    }
    if (shown.length === 0) note("Searching…");
    try {
      const found = await load(query);
      if (mine === turn && isOpen()) draw(found);
    } catch (error) {
      if (mine === turn && isOpen()) note(error.message);
    }
  }

  function draw(found) {
    shown = found;
    if (found.length === 0) {
      note("Nothing of that name.");
      return;
    }
    let group = null;
    const rows = [];
    found.forEach((option, at) => {
      if (option.group && option.group !== group) {
        rows.push(h("li", { class: "group", role: "presentation" }, option.group));
        group = option.group;
      }
      rows.push(row(option, at));
    });
    list.replaceChildren(...rows);
    setActive(found.findIndex((one) => picked.some((chosenOne) => same(one, chosenOne))));
    place();
  }

  function row(option, at) {
    const selected = picked.some((one) => same(one, option));
    return h(
      "li",
      {
        role: "option",
        id: `${listId}-${at}`,
        "aria-selected": String(selected),
        // The focus stays in the field.
        pointerdown: (event) => event.preventDefault(),
        click: () => choose(option),
      },
      h("span", {}, option.text),
      option.note ? h("small", {}, option.note) : null,
    );
  }

  function note(sentence) {
    shown = [];
    active = -1;
    input.removeAttribute("aria-activedescendant");
    list.replaceChildren(h("li", { class: "note", role: "presentation" }, sentence));
    place();
  }

  function setActive(at) {
    active = at;
    [...list.querySelectorAll("[role=option]")].forEach((one, place_) => {
      one.classList.toggle("active", place_ === at);
      if (place_ === at) one.scrollIntoView({ block: "nearest" });
    });
    if (at >= 0) input.setAttribute("aria-activedescendant", `${listId}-${at}`);
    else input.removeAttribute("aria-activedescendant");
  }

  function choose(option) {
    if (many) {
      toggle(option);
      input.value = "";
      open();
    } else pick(option);
  }

  function pick(option) {
    picked = option ? [option] : [];
    close();
    changed(picked);
  }

  function toggle(option) {
    const there = picked.some((one) => same(one, option));
    if (!there && picked.length >= most) return;
    picked = there ? picked.filter((one) => !same(one, option)) : [...picked, option];
    drawChosen();
    changed(picked);
    if (!isOpen()) input.focus();
  }

  function close() {
    turn += 1;
    clearTimeout(waiting);
    if (isOpen()) list.hidePopover();
    input.setAttribute("aria-expanded", "false");
    input.removeAttribute("aria-activedescendant");
    shown = [];
    if (many) input.value = "";
    drawChosen();
  }

  function place() {
    const field = box.getBoundingClientRect();
    const room = window.innerHeight - field.bottom - 12;
    const above = field.top - 12;
    const up = room < 180 && above > room;
    list.style.left = `${field.left}px`;
    list.style.width = `${field.width}px`;
    list.style.maxHeight = `${Math.min(300, up ? above : room)}px`;
    list.style.top = up ? "auto" : `${field.bottom + 4}px`;
    list.style.bottom = up ? `${window.innerHeight - field.top + 4}px` : "auto";
  }

  input.addEventListener("input", () => {
    clearTimeout(waiting);
    const query = input.value.trim();
    if (load) waiting = setTimeout(() => open(query), PAUSE_MS);
    else open(query);
  });
  input.addEventListener("click", () => {
    if (isOpen()) return;
    input.select();
    open();
  });
  input.addEventListener("blur", close);
  input.addEventListener("keydown", (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step !== undefined) {
      event.preventDefault();
      if (!isOpen()) open();
      else if (shown.length) setActive((active + step + shown.length) % shown.length);
    } else if (event.key === "Enter") {
      event.preventDefault();
      if (!isOpen()) open();
      else if (shown.length) choose(shown[Math.max(active, 0)]);
    } else if (event.key === "Escape" && isOpen()) {
      // Only the list closes, not the dialog around it.
      event.preventDefault();
      event.stopPropagation();
      close();
    } else if (event.key === "Backspace" && many && input.value === "" && picked.length) {
      toggle(picked.at(-1));
    }
  });
  box.addEventListener("pointerdown", (event) => {
    if (event.target === box || event.target.closest(".icon")?.parentNode === box) {
      event.preventDefault();
      input.focus();
      if (!isOpen()) open();
    }
  });
  window.addEventListener("scroll", () => isOpen() && place(), { capture: true, passive: true });

  drawChosen();
  return box;
}
