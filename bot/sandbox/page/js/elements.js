// The interactive elements of Block Kit. Each function gives a node for one element.
//
// `ctx` says what the elements stand in:
//   who        a Viewer
//   form       the Form that holds what is put in
//   use(block, element, value)       a person used the element: tell the app
//   suggest(block, element, query)   promises options of an external select
//   field      {labels, optional} of an input block: attributes that name and describe the element

import { combobox } from "./combobox.js";
import { confirmed } from "./confirm.js";
import { h, icon, newId } from "./dom.js";
import { textObject } from "./format.js";
import { epochIn, localIn } from "./time.js";

const DOTS = "M3 8h.01 M8 8h.01 M13 8h.01";

export const focusName = (block, element) => `${block.block_id}/${element.action_id}`;

/** The node of an element, or null for a kind that is not known here. */
export function element(block, spec, ctx) {
  const make = MAKERS[spec.type] ?? (spec.type.endsWith("_select") ? select : null);
  return make && make(block, spec, ctx);
}

const common = (block, spec, ctx) => ({
  "data-focus": focusName(block, spec),
  autofocus: spec.focus_on_load === true,
  ...(ctx.field?.labels ?? { "aria-label": spec.placeholder?.text ?? words(spec) }),
});

const words = (spec) => spec.accessibility_label ?? spec.text?.text ?? spec.alt_text ?? "Choose";

/** Holds the new value, and tells the app where the element stands in no input block. */
async function put(block, spec, ctx, held) {
  const before = ctx.form.get(block, spec);
  if (spec.confirm && block.type !== "input" && !(await confirmed(spec.confirm, ctx.who))) {
    ctx.redraw?.();
    return;
  }
  ctx.form.set(block, spec, held);
  ctx.changed?.(block, spec, before);
  if (block.type !== "input" || block.dispatch_action) {
    ctx.use(block, spec, ctx.form.value(block, spec));
  }
}

function button(block, spec, ctx) {
  const node = h(
    "button",
    {
      type: "button",
      class: `button ${spec.style ?? ""}`,
      "aria-label": spec.accessibility_label,
      "data-focus": focusName(block, spec),
      "data-action": spec.action_id,
      click: async () => {
        if (spec.confirm && !(await confirmed(spec.confirm, ctx.who))) return;
        if (spec.url && /^https?:/i.test(spec.url)) window.open(spec.url, "_blank", "noopener");
        await busy(node, () => ctx.use(block, spec));
      },
    },
    textObject(spec.text, ctx.who),
  );
  return node;
}

/** Marks a button as working while its act is under way; it keeps its focus and its size. */
export async function busy(node, work) {
  if (node.getAttribute("aria-disabled") === "true") return;
  node.setAttribute("aria-disabled", "true");
  try {
    await work();
  } finally {
    node.removeAttribute("aria-disabled");
  }
}

function overflow(block, spec, ctx) {
  const items = spec.options.map((option) =>
    h(
      "button",
      {
        type: "button",
        role: "menuitem",
        click: async () => {
          menu.hidePopover();
          opener.focus();
          if (spec.confirm && !(await confirmed(spec.confirm, ctx.who))) return;
          if (option.url && /^https?:/i.test(option.url))
            window.open(option.url, "_blank", "noopener");
          await ctx.use(block, spec, option.value);
        },
      },
      textObject(option.text, ctx.who),
      option.description ? h("small", {}, option.description.text) : null,
    ),
  );
  const menu = h(
    "div",
    {
      class: "menu",
      id: newId("menu"),
      role: "menu",
      popover: "auto",
      keydown: (event) => {
        const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
        if (step === undefined) return;
        event.preventDefault();
        const at = items.indexOf(document.activeElement);
        items[(at + step + items.length) % items.length].focus();
      },
      toggle: (event) => {
        opener.setAttribute("aria-expanded", String(event.newState === "open"));
        if (event.newState !== "open") return;
        const at = opener.getBoundingClientRect();
        menu.style.top = `${Math.min(at.bottom + 4, window.innerHeight - menu.offsetHeight - 8)}px`;
        menu.style.left = `${Math.max(8, at.right - menu.offsetWidth)}px`;
        items[0].focus();
      },
    },
    items,
  );
  const opener = h(
    "button",
    {
      type: "button",
      class: "button quiet",
      "aria-label": "More actions",
      "aria-haspopup": "menu",
      "aria-expanded": "false",
      popovertarget: menu.id,
      "data-focus": focusName(block, spec),
    },
    icon(DOTS, "icon dots"),
  );
  return h("span", { class: "overflow" }, opener, menu);
}

const simple = (option, group) => ({
  text: option.text.text,
  value: option.value,
  note: option.description?.text,
  group,
  option,
});

function select(block, spec, ctx) {
  const many = spec.type.startsWith("multi_");
  const kind = spec.type.replace("multi_", "").replace("_select", "");
  const byOption = kind === "static" || kind === "external";
  const offered = byOption ? staticOptions(spec) : ids(kind, spec, ctx.who);
  const held = ctx.form.get(block, spec);
  const list = (many ? held : [held]).filter((one) => one !== null);
  const chosen = list.map((one) =>
    byOption
      ? simple(one)
      : (offered.find((offer) => offer.value === one) ?? { text: one, value: one }),
  );
  return combobox({
    options: offered,
    load: kind === "external" ? (query) => ctx.suggest(block, spec, query) : null,
    chosen,
    many,
    most: spec.max_selected_items,
    clearable: ctx.field?.optional === true,
    placeholder: spec.placeholder?.text,
    minimum: kind === "external" ? (spec.min_query_length ?? 3) : 0,
    labels: common(block, spec, ctx),
    focusName: focusName(block, spec),
    changed: (picked) => {
      const values = picked.map((one) => (byOption ? one.option : one.value));
      put(block, spec, ctx, many ? values : (values[0] ?? null));
    },
  });
}

function staticOptions(spec) {
  const groups = spec.option_groups ?? [];
  const grouped = groups.flatMap((group) =>
    group.options.map((option) => simple(option, group.label.text)),
  );
  return [...(spec.options ?? []).map((option) => simple(option)), ...grouped];
}

function ids(kind, spec, who) {
  const people = who.directory.playable.map((one) => ({
    text: who.directory.name(one.id),
    value: one.id,
    note: one.title,
  }));
  const channels = [...who.directory.channels.values()]
    .filter((one) => !one.is_archived)
    .map((one) => ({ text: `#${one.name}`, value: one.id }));
  if (kind === "users") return people;
  if (kind === "channels") return channels.filter((one) => isPublic(one, who));
  return channels;
}

const isPublic = (one, who) => who.directory.channels.get(one.value).kind === "public";

/** Checkboxes and radio buttons. */
function choices(block, spec, ctx) {
  const many = spec.type === "checkboxes";
  const name = newId("choice");
  const held = ctx.form.get(block, spec);
  const on = new Set((many ? held : [held]).filter(Boolean).map((option) => option.value));
  const rows = spec.options.map((option, at) => {
    const input = h("input", {
      type: many ? "checkbox" : "radio",
      name,
      checked: on.has(option.value),
      "data-focus": `${focusName(block, spec)}/${at}`,
      change: () => {
        if (!many) on.clear();
        if (input.checked) on.add(option.value);
        else on.delete(option.value);
        const picked = spec.options.filter((one) => on.has(one.value));
        put(block, spec, ctx, many ? picked : (picked[0] ?? null));
      },
    });
    const note = option.description;
    return h(
      "label",
      { class: "choice" },
      input,
      h(
        "span",
        {},
        textObject(option.text, ctx.who),
        note ? h("small", {}, textObject(note, ctx.who)) : null,
      ),
    );
  });
  const props = { class: "choices", role: many ? "group" : "radiogroup" };
  return h("div", { ...props, ...(ctx.field?.labels ?? { "aria-label": "Choose" }) }, rows);
}

function picker(type) {
  return (block, spec, ctx) => {
    const input = h("input", {
      type,
      class: "field",
      ...common(block, spec, ctx),
      change: () => put(block, spec, ctx, input.value || null),
    });
    input.value = ctx.form.get(block, spec) ?? "";
    return input;
  };
}

function moment(block, spec, ctx) {
  const held = ctx.form.get(block, spec);
  const input = h("input", {
    type: "datetime-local",
    class: "field",
    ...common(block, spec, ctx),
    change: () => put(block, spec, ctx, input.value ? epochIn(input.value, ctx.who.tz) : null),
  });
  input.value = held === null ? "" : localIn(held * 1000, ctx.who.tz);
  return input;
}

const MODES = { number_input: "decimal", email_text_input: "email", url_text_input: "url" };
const TYPING_PAUSE_MS = 300;

function textInput(block, spec, ctx) {
  const when = spec.dispatch_action_config?.trigger_actions_on ?? ["on_enter_pressed"];
  let waiting = null;
  const send = () => ctx.use(block, spec, ctx.form.value(block, spec));
  const node = h(spec.multiline ? "textarea" : "input", {
    class: "field",
    rows: spec.multiline ? 4 : null,
    type: spec.multiline ? null : "text",
    inputmode: MODES[spec.type],
    autocomplete: "off",
    placeholder: spec.placeholder?.text,
    ...common(block, spec, ctx),
    input: () => {
      ctx.form.set(block, spec, node.value === "" ? null : node.value);
      ctx.changed?.(block, spec);
      clearTimeout(waiting);
      if (block.dispatch_action && when.includes("on_character_entered")) {
        waiting = setTimeout(send, TYPING_PAUSE_MS);
      }
    },
    keydown: (event) => {
      const enter = event.key === "Enter" && !spec.multiline && !event.isComposing;
      if (!enter || !block.dispatch_action || !when.includes("on_enter_pressed")) return;
      event.preventDefault();
      send();
    },
  });
  node.value = ctx.form.get(block, spec) ?? "";
  return node;
}

const MAKERS = {
  button,
  overflow,
  checkboxes: choices,
  radio_buttons: choices,
  datepicker: picker("date"),
  timepicker: picker("time"),
  datetimepicker: moment,
  plain_text_input: textInput,
  number_input: textInput,
  email_text_input: textInput,
  url_text_input: textInput,
};
