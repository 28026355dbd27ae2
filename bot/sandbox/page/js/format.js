// Text as elements: mrkdwn, plain text with emoji, and rich text. Nodes only, never markup.

import { h } from "./dom.js";
import { emoji } from "./emoji.js";
import { parse } from "./mrkdwn.js";
import { capital, dateToken } from "./time.js";

/** A text object of Block Kit, {type, text, emoji?, verbatim?}, as nodes. `who` is a `Viewer`. */
export function textObject(object, who) {
  if (!object) return [];
  if (object.type === "mrkdwn") return mrkdwn(object.text, who, { verbatim: object.verbatim });
  return plain(object.text, object.emoji !== false);
}

export function mrkdwn(text, who, options) {
  const nodes = parse(text, options);
  return nodes.map((node, place) => made(node, who, place === 0));
}

function plain(text, withEmoji) {
  const parts = withEmoji ? text.split(/(:[a-z0-9_+'-]+:)/) : [text];
  return parts.filter(Boolean).map((part) => {
    const name = withEmoji && /^:(.+):$/.exec(part);
    return name ? emoji(name[1]) : document.createTextNode(part);
  });
}

const TAGS = { bold: "strong", italic: "em", strike: "s", code: "code", quote: "blockquote" };

function made(node, who, first = false) {
  const inner = () => node.children.map((child, place) => made(child, who, first && place === 0));
  switch (node.type) {
    case "text":
      return document.createTextNode(node.text);
    case "break":
      return h("br");
    case "pre":
      return preformatted(inner());
    case "link":
      return anchor(node.url, inner());
    case "user":
      return person(node.id, who, node.label);
    case "group":
      return mention(node.label ?? `@${who.directory.group(node.id)}`, who.inGroup(node.id));
    case "channel":
      return mention(`#${node.label || who.directory.channel(node.id)}`, false);
    case "broadcast":
      return mention(`@${node.range}`, true);
    case "date":
      return date(node, who, first);
    case "emoji":
      return emoji(node.name);
    default:
      return h(TAGS[node.type], {}, inner());
  }
}

const preformatted = (children) => h("pre", {}, h("code", {}, children));

function person(id, who, label) {
  const known = who.directory.people.has(id);
  return mention(`@${known ? who.directory.name(id) : (label ?? id)}`, id === who.id);
}

const mention = (words, mine) => h("span", { class: mine ? "mention mine" : "mention" }, words);

/** A link that leaves the page, or only its words where its scheme is not one for people. */
function anchor(url, children) {
  if (!/^(https?|mailto):/i.test(url)) return h("span", {}, children);
  return h("a", { href: url, target: "_blank", rel: "noopener noreferrer" }, children);
}

function date(node, who, first) {
  const words = dateToken(node.seconds, node.format, who.tz);
  const moment = new Date(node.seconds * 1000).toISOString();
  const time = h(
    "time",
    { datetime: moment, title: node.fallback || moment },
    first ? capital(words) : words,
  );
  return node.url ? anchor(node.url, [time]) : time;
}

/** A rich_text block. Source: Slack, "Block Kit: rich text". */
export function richText(block, who) {
  const parts = block.elements.map((element) => richPart(element, who));
  return h("div", { class: "rich" }, parts);
}

function richPart(element, who) {
  const leaves = () => element.elements.map((leaf) => richLeaf(leaf, who));
  switch (element.type) {
    case "rich_text_list": {
      const tag = element.style === "ordered" ? "ol" : "ul";
      const indent = Math.min(element.indent ?? 0, 8);
      const props = { class: `indent-${indent}` };
      if (tag === "ol" && element.offset) props.start = element.offset + 1;
      return h(
        tag,
        props,
        element.elements.map((item) => h("li", {}, richPart(item, who))),
      );
    }
    case "rich_text_quote":
      return h("blockquote", {}, leaves());
    case "rich_text_preformatted":
      return preformatted(leaves());
    default:
      return h("div", { class: "rich-section" }, leaves());
  }
}

function richLeaf(leaf, who) {
  let node;
  switch (leaf.type) {
    case "link":
      node = anchor(leaf.url, [leaf.text || leaf.url]);
      break;
    case "user":
      node = person(leaf.user_id, who);
      break;
    case "usergroup":
      node = mention(`@${who.directory.group(leaf.usergroup_id)}`, who.inGroup(leaf.usergroup_id));
      break;
    case "channel":
      node = mention(`#${who.directory.channel(leaf.channel_id)}`, false);
      break;
    case "broadcast":
      node = mention(`@${leaf.range}`, true);
      break;
    case "emoji":
      node = emoji(leaf.name);
      break;
    case "date":
      node = date({ ...leaf, seconds: leaf.timestamp, fallback: leaf.fallback ?? "" }, who, false);
      break;
    default:
      node = document.createTextNode(leaf.text ?? "");
  }
  for (const [style, tag] of Object.entries({
    code: "code",
    strike: "s",
    italic: "em",
    bold: "strong",
  })) {
    if (leaf.style?.[style]) node = h(tag, {}, node);
  }
  return node;
}

/** Through whose eyes a text is shown. */
export class Viewer {
  constructor(person, directory) {
    this.id = person?.id ?? "";
    this.tz = person?.tz || "UTC";
    this.directory = directory;
  }

  inGroup(id) {
    return this.directory.groups.get(id)?.users.includes(this.id) ?? false;
  }
}
