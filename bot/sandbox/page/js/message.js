// One message with its thread beneath it.

import { renderBlocks } from "./blocks.js";
import { h } from "./dom.js";
import { formOf } from "./form.js";
import { mrkdwn } from "./format.js";
import { kindWords } from "./people.js";
import { clockTime, dayWords } from "./time.js";

export const when = (message) => new Date(Number(message.ts) * 1000);

/** `item`: {message, replies, compact, open}. Replies are shown where the thread is open. */
export function messageNode(item, app) {
  const { message, replies, compact, open } = item;
  const node = one(message, app, { compact });
  const body = node.querySelector(".message-body");
  if (replies.length > 0) body.append(threadToggle(item, app));
  if (open && replies.length > 0) {
    const list = replies.map((reply) => one(reply, app, {}));
    body.append(h("div", { class: "replies", role: "group", "aria-label": "Replies" }, list));
  }
  return node;
}

function one(message, app, { compact }) {
  const { directory } = app;
  const author = directory.people.get(message.user);
  const name = author ? directory.name(message.user) : message.username;
  const time = when(message);
  const { tz } = app.viewer;
  const onlyMe = message.ephemeral_to !== null;
  const inThread = message.thread_ts !== null && message.thread_ts !== message.ts;
  const kind = author ? kindWords(author) : "";
  const stamp = h(
    "time",
    { datetime: time.toISOString(), title: dayWords(time, tz) },
    clockTime(time, tz),
  );
  const head = h(
    "header",
    { class: compact ? "hidden-words" : "" },
    h("strong", {}, name),
    kind ? h("span", { class: "kind" }, kind) : null,
    stamp,
    message.edited ? h("span", { class: "quiet" }, "edited") : null,
  );
  const canReply = !onlyMe && !inThread && app.isMember();
  return h(
    "article",
    {
      class: `message${onlyMe ? " ephemeral" : ""}${compact ? " compact" : ""}`,
      "data-ts": message.ts,
      "aria-label": `${name}, ${clockTime(time, tz)}`,
    },
    compact
      ? h("span", { class: "gutter", "aria-hidden": "true" })
      : h(
          "span",
          { class: `avatar tint-${directory.tint(message.user)}`, "aria-hidden": "true" },
          directory.initials(message.user),
        ),
    h(
      "div",
      { class: "message-body" },
      head,
      onlyMe ? h("p", { class: "only" }, "Only visible to you") : null,
      message.reply_broadcast && inThread ? h("p", { class: "only" }, "Replied to a thread") : null,
      content(message, app),
    ),
    canReply
      ? h(
          "button",
          {
            type: "button",
            class: "button quiet reply",
            "data-focus": `reply ${message.ts}`,
            click: () => app.replyTo(message),
          },
          "Reply in thread",
        )
      : null,
  );
}

function content(message, app) {
  const parts = [];
  if (message.blocks.length) parts.push(...blocksOf(message, message.blocks, app));
  else if (message.text) {
    parts.push(h("div", { class: "text" }, mrkdwn(message.text, app.viewer)));
  }
  for (const attachment of message.attachments) {
    const inner = attachment.blocks
      ? blocksOf(message, attachment.blocks, app)
      : h(
          "div",
          { class: "text" },
          mrkdwn(attachment.text ?? attachment.fallback ?? "", app.viewer),
        );
    parts.push(h("div", { class: "attachment" }, inner));
  }
  for (const file of message.files) {
    const size = `${Math.max(1, Math.round((file.size ?? 0) / 1024))} kB`;
    parts.push(h("div", { class: "file" }, `File: ${file.title || file.name} · ${size}`));
  }
  return h("div", { class: "content" }, parts);
}

function blocksOf(message, blocks, app) {
  const form = formOf(`${message.channel} ${message.ts}`);
  form.meet(blocks);
  const target = { channel: message.channel, ts: message.ts };
  const naming = (block, element) => ({
    ...target,
    action_id: element.action_id,
    block_id: block.block_id,
    state: form.state(blocks),
  });
  return renderBlocks(blocks, {
    who: app.viewer,
    form,
    redraw: app.render,
    use: (block, element, value = null) => app.act("click", { ...naming(block, element), value }),
    suggest: (block, element, query) => app.suggest({ ...naming(block, element), query }),
  });
}

function threadToggle({ message, replies, open }, app) {
  const count = `${replies.length} ${replies.length === 1 ? "reply" : "replies"}`;
  const last = clockTime(when(replies.at(-1)), app.viewer.tz);
  return h(
    "button",
    {
      type: "button",
      class: "button quiet thread",
      "aria-expanded": String(open),
      "data-focus": `thread ${message.ts}`,
      click: () => app.toggleThread(message),
    },
    open ? `Hide ${count}` : `${count} · last at ${last}`,
  );
}
