// The messages of a channel, as the person one is sees them.

import { h, keyed } from "./dom.js";
import { messageNode, when } from "./message.js";
import { dayIn, dayWords, now } from "./time.js";

const NEAR_BOTTOM = 60;
const TOGETHER_MS = 5 * 60 * 1000;

export function conversation(app) {
  let log = freshLog();
  const more = h(
    "button",
    { type: "button", class: "button more", hidden: true, click: () => toBottom() },
    "New messages below",
  );
  const element = h(
    "section",
    { class: "conversation", id: "messages", "aria-label": "Conversation" },
    log,
    more,
  );
  const places = new Map();
  let shown = null;
  let atBottom = true;
  let last = null;
  const keep = new ResizeObserver(() => atBottom && toBottom());

  function freshLog() {
    return h("div", {
      class: "log scroll",
      role: "log",
      "aria-live": "polite",
      "aria-label": "Messages",
      tabindex: "0",
      scroll: () => {
        atBottom = log.scrollHeight - log.scrollTop - log.clientHeight < NEAR_BOTTOM;
        if (atBottom) more.hidden = true;
        if (shown) places.set(shown, atBottom ? null : log.scrollTop);
      },
    });
  }

  function toBottom() {
    log.scrollTop = log.scrollHeight;
    more.hidden = true;
  }

  function render() {
    const place = `${app.ui.person} ${app.channelId()}`;
    const items = app.channelId() ? itemsOf(app) : [];
    const moved = place !== shown;
    if (moved) {
      // A new log, so that a screen reader does not read out a whole conversation as news.
      const old = log;
      keep.disconnect();
      log = freshLog();
      old.replaceWith(log);
      keep.observe(log);
      more.hidden = true;
    }
    const anchor = moved || atBottom ? null : firstVisible();
    keyed(log, items.length ? items : [{ kind: "empty", id: "empty" }], {
      key: (item) => item.id,
      sign: (item) => item.sign ?? `${app.ui.person} ${app.isMember()}`,
      make: (item, isNew) => {
        const node = make(item);
        if (isNew && !moved) node.classList.add("arrived");
        return node;
      },
    });
    shown = place;
    const newest = items.at(-1)?.id ?? null;
    if (moved) {
      const saved = places.get(place) ?? null;
      atBottom = saved === null;
      log.scrollTop = saved ?? log.scrollHeight;
    } else if (atBottom) toBottom();
    else {
      if (anchor) log.scrollTop += anchor.node().getBoundingClientRect().top - anchor.top;
      if (newest !== last) more.hidden = false;
    }
    last = newest;
  }

  /** What is at the top of the view, to be put back there after a change above it. */
  function firstVisible() {
    const top = log.getBoundingClientRect().top;
    const node = [...log.children].find((one) => one.getBoundingClientRect().bottom > top);
    if (!node) return null;
    const { id } = node.dataset;
    const again = () => [...log.children].find((one) => one.dataset.id === id) ?? node;
    return { top: node.getBoundingClientRect().top, node: again };
  }

  function make(item) {
    let node;
    if (item.kind === "day") node = h("div", { class: "day" }, h("span", {}, item.words));
    else if (item.kind === "empty") node = app.hint.empty();
    else node = messageNode(item, app);
    node.dataset.id = item.id;
    return node;
  }

  return { element, render, toBottom, reveal: (ts) => reveal(log, ts) };
}

function reveal(log, ts) {
  const node = log.querySelector(`[data-ts="${CSS.escape(ts)}"]`);
  node?.scrollIntoView({ block: "nearest" });
  node?.classList.add("arrived");
}

function itemsOf(app) {
  const { tz } = app.viewer;
  const all = (app.state.messages[app.channelId()] ?? []).filter(
    (message) => message.ephemeral_to === null || message.ephemeral_to === app.ui.person,
  );
  const replies = new Map();
  const top = [];
  const parents = new Set(all.map((message) => message.ts));
  for (const message of all) {
    const isReply = message.thread_ts !== null && message.thread_ts !== message.ts;
    if (isReply && parents.has(message.thread_ts)) {
      replies.set(message.thread_ts, [...(replies.get(message.thread_ts) ?? []), message]);
      if (message.reply_broadcast) top.push(message);
    } else top.push(message);
  }
  const items = [];
  let day = null;
  let before = null;
  const today = dayIn(now(), tz);
  for (const message of top) {
    const itsDay = dayIn(when(message), tz);
    if (itsDay !== day) {
      items.push({
        kind: "day",
        id: `day ${itsDay}`,
        words: dayWords(when(message), tz),
        sign: `${today} ${tz}`,
      });
      before = null;
    }
    day = itsDay;
    const under = message.reply_broadcast ? [] : (replies.get(message.ts) ?? []);
    const open = app.isOpen(message);
    const compact = belongs(message, before, replies);
    const context = [compact, open, today, app.ui.person, app.isMember()];
    const sign = JSON.stringify([message, under, context]);
    const id = `${message.ephemeral_to ?? ""} ${message.ts}`;
    items.push({ kind: "message", id, message, replies: under, compact, open, sign });
    before = message;
  }
  return items;
}

/** Whether a message follows so closely on the one before that its author need not be said anew. */
function belongs(message, before, replies) {
  return (
    before !== null &&
    before.user === message.user &&
    !message.is_bot &&
    message.ephemeral_to === null &&
    before.ephemeral_to === null &&
    !replies.has(before.ts) &&
    when(message) - when(before) < TOGETHER_MS
  );
}
