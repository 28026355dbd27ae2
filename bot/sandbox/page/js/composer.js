// Where one types: messages, and commands with a hint of their forms.

import { h, icon, newId, setText } from "./dom.js";

const CROSS = "M4 4l8 8 M12 4l-8 8";
const COMMAND = "/eks-access";
const MOST_PIXELS = 180;

export function composer(app) {
  let forms = {};
  let active = -1;
  let options = [];
  const sent = [];
  let recalled = 0;

  const listId = newId("forms");
  const list = h("ul", {
    class: "forms",
    id: listId,
    role: "listbox",
    "aria-label": "Command forms",
    hidden: true,
  });
  const field = h("textarea", {
    id: "composer",
    rows: 1,
    autocomplete: "off",
    spellcheck: "false",
    role: "combobox",
    "aria-label": "Message",
    "aria-autocomplete": "list",
    "aria-expanded": "false",
    "aria-controls": listId,
    "aria-describedby": "composer-status",
    input: () => changed(),
    keydown: (event) => key(event),
    blur: () => hideForms(),
    focus: () => showForms(),
  });
  const sendButton = h("button", { type: "submit", class: "button primary" }, "Send");
  const threadWords = h("span");
  const thread = h(
    "p",
    { class: "replying", hidden: true },
    threadWords,
    h(
      "button",
      {
        type: "button",
        class: "plain-icon",
        "aria-label": "Do not reply in the thread",
        click: () => app.replyTo(null),
      },
      icon(CROSS),
    ),
  );
  const status = h("p", { class: "status", id: "composer-status", role: "status" });
  const row = h("div", { class: "composer-row" }, field, sendButton);
  const element = h(
    "form",
    { class: "composer", "aria-label": "Write", submit: (event) => submit(event) },
    list,
    thread,
    row,
    status,
  );

  function changed() {
    app.ui.drafts.set(app.draftKey(), field.value);
    recalled = 0;
    fit();
    showForms();
  }

  function fit() {
    field.style.height = "auto";
    // What stands there as a hint does not count.
    if (field.value) field.style.height = `${Math.min(field.scrollHeight, MOST_PIXELS)}px`;
  }

  function write(text) {
    field.value = text;
    app.ui.drafts.set(app.draftKey(), text);
    fit();
  }

  function showForms() {
    const typed = /^\/(\S*)(?:\s+(\S*)(\s[\s\S]*)?)?$/.exec(field.value);
    if (!typed || document.activeElement !== field) {
      hideForms();
      return;
    }
    const [, command, word, rest] = typed;
    if (!COMMAND.startsWith(`/${command}`) || (word !== undefined && `/${command}` !== COMMAND)) {
      hideForms();
      return;
    }
    const names = Object.keys(forms);
    if (rest !== undefined) {
      options = [];
      list.replaceChildren(
        ...names.filter((name) => name === word).map((name) => choiceRow(name, -1)),
      );
    } else {
      options = names.filter((name) => name.startsWith(word ?? ""));
      const first = word ? [] : [formRow(COMMAND, "opens the request form", null)];
      list.replaceChildren(...first, ...options.map((name, at) => choiceRow(name, at)));
    }
    list.hidden = list.children.length === 0;
    field.setAttribute("aria-expanded", String(!list.hidden));
    setActive(-1);
  }

  const choiceRow = (name, at) => formRow(`${COMMAND} ${forms[name]}`, "", at < 0 ? null : name);

  function formRow(form, note, name) {
    const props = name
      ? {
          role: "option",
          id: `${listId}-${name}`,
          "aria-selected": "false",
          pointerdown: (event) => event.preventDefault(),
          click: () => take(name),
        }
      : { role: "presentation" };
    return h("li", props, h("code", {}, form), note ? h("small", {}, note) : null);
  }

  function hideForms() {
    list.hidden = true;
    options = [];
    active = -1;
    field.setAttribute("aria-expanded", "false");
    field.removeAttribute("aria-activedescendant");
  }

  function setActive(at) {
    active = at;
    for (const [place, one] of [...list.querySelectorAll("[role=option]")].entries()) {
      one.setAttribute("aria-selected", String(place === at));
    }
    if (at >= 0) field.setAttribute("aria-activedescendant", `${listId}-${options[at]}`);
    else field.removeAttribute("aria-activedescendant");
  }

  function take(name) {
    write(`${COMMAND} ${name}${forms[name] === name ? "" : " "}`);
    showForms();
  }

  function key(event) {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    const isEnter = event.key === "Enter" && !event.shiftKey && !event.isComposing;
    const partial = /^\/eks-access\s+\S+$/.test(field.value) && options.length > 0;
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    if (step !== undefined && options.length > 0 && (field.value !== "" || active >= 0)) {
      event.preventDefault();
      setActive((active + step + options.length) % options.length);
    } else if (event.key === "ArrowUp" && (field.value === "" || recalled > 0) && sent.length) {
      event.preventDefault();
      recalled = Math.min(recalled + 1, sent.length);
      write(sent.at(-recalled));
    } else if (isEnter && active >= 0) {
      event.preventDefault();
      take(options[active]);
    } else if (isEnter) {
      event.preventDefault();
      element.requestSubmit();
    } else if (
      event.key === "Tab" &&
      !event.shiftKey &&
      partial &&
      !forms[field.value.split(/\s+/)[1]]
    ) {
      event.preventDefault();
      take(options[Math.max(active, 0)]);
    } else if (event.key === "Escape") {
      if (!list.hidden) hideForms();
      else if (app.ui.reply) app.replyTo(null);
    }
  }

  async function submit(event) {
    event.preventDefault();
    const text = field.value.trim();
    if (text === "" || field.readOnly) return;
    const reply = app.ui.reply;
    if (reply && text.startsWith("/")) {
      app.say("Slash commands do not work in a thread. Leave the thread with Escape first.", true);
      return;
    }
    const where = app.draftKey();
    write("");
    hideForms();
    sent.push(text);
    recalled = 0;
    const answer = text.startsWith("/")
      ? await app.act("command", { line: text, channel: app.channelId() })
      : await app.act("message", {
          channel: app.channelId(),
          text: escaped(text),
          thread_ts: reply?.ts ?? null,
        });
    if (answer && !answer.error) return;
    // Nothing typed is lost: it comes back, unless something new was written meanwhile.
    if (!app.ui.drafts.get(where)) app.ui.drafts.set(where, text);
    render();
  }

  window.addEventListener("resize", fit);
  let shownKey = null;
  function render() {
    const where = app.draftKey();
    const draft = app.ui.drafts.get(where) ?? "";
    if (field.value !== draft) write(draft);
    if (shownKey !== where) {
      shownKey = where;
      fit();
      showForms();
    }
    const problem = app.cannotWrite();
    field.readOnly = problem !== "";
    sendButton.disabled = problem !== "";
    field.placeholder = problem || `Message, or ${COMMAND}`;
    const { reply } = app.ui;
    thread.hidden = !reply;
    if (reply) setText(threadWords, `Replying in the thread of ${app.directory.name(reply.user)}`);
  }

  return {
    element,
    status,
    render,
    focus: () => field.focus({ preventScroll: true }),
    write: (text) => {
      write(text);
      field.focus();
      field.setSelectionRange(text.length, text.length);
      showForms();
    },
    setForms: (known) => {
      forms = known;
    },
  };
}

/** As Slack's client sends what was typed. */
const escaped = (text) => text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
