// Slack's mrkdwn: read into a tree of plain objects, which `format.js` makes elements of.
// Source: Slack, "Formatting message text".

const ENTITIES = { "&amp;": "&", "&lt;": "<", "&gt;": ">" };
const MARKS = { "*": "bold", _: "italic", "~": "strike" };
const WORD = /[\p{L}\p{N}]/u;

const decoded = (text) => text.replace(/&(?:amp|lt|gt);/g, (entity) => ENTITIES[entity]);

/**
 * The tree of a mrkdwn text: a list of {type, …} with "text", "break", "bold", "italic", "strike",
 * "code", "pre", "quote", "link", "user", "group", "channel", "broadcast", "date" and "emoji".
 * `verbatim`: addresses standing alone are no links.
 */
export function parse(text, { verbatim = false } = {}) {
  const nodes = [];
  const pieces = text.split(/```([\s\S]+?)```/);
  pieces.forEach((piece, place) => {
    if (place % 2 === 1) {
      const words = asPlain(piece.replace(/^\n|\n$/g, ""));
      nodes.push({ type: "pre", children: [{ type: "text", text: words }] });
      return;
    }
    const inner = piece.slice(place > 0 && piece.startsWith("\n") ? 1 : 0);
    const last = place + 1 < pieces.length && inner.endsWith("\n") ? -1 : undefined;
    nodes.push(...lines(inner.slice(0, last), verbatim));
  });
  return nodes;
}

function lines(text, verbatim) {
  if (text === "") return [];
  const nodes = [];
  const all = text.split("\n");
  for (let at = 0; at < all.length; at += 1) {
    if (/^(?:&gt;|>){3}/.test(all[at])) {
      const rest = [all[at].replace(/^(?:&gt;|>){3} ?/, ""), ...all.slice(at + 1)].join("\n");
      return [...nodes, { type: "quote", children: inline(rest, verbatim) }];
    }
    const quoted = [];
    while (at < all.length && /^(?:&gt;|>)/.test(all[at])) {
      quoted.push(all[at].replace(/^(?:&gt;|>) ?/, ""));
      at += 1;
    }
    if (quoted.length) {
      nodes.push({ type: "quote", children: inline(quoted.join("\n"), verbatim) });
      at -= 1;
      continue;
    }
    if (at > 0 && nodes.at(-1)?.type !== "quote") nodes.push({ type: "break" });
    nodes.push(...inline(all[at], verbatim));
  }
  return nodes;
}

function inline(text, verbatim) {
  const nodes = [];
  let plain = "";
  const flush = () => {
    if (plain) nodes.push({ type: "text", text: decoded(plain) });
    plain = "";
  };
  let at = 0;
  while (at < text.length) {
    const found = special(text, at, verbatim);
    if (found) {
      flush();
      nodes.push(found.node);
      at = found.end;
    } else {
      plain += text[at];
      at += 1;
    }
  }
  flush();
  return nodes;
}

function special(text, at, verbatim) {
  const letter = text[at];
  if (letter === "\n") return { node: { type: "break" }, end: at + 1 };
  if (letter === "<") return token(text, at);
  if (letter === "`") {
    const close = text.indexOf("`", at + 1);
    const inside = text.slice(at + 1, close);
    if (close <= at + 1 || inside.includes("\n")) return null;
    return {
      node: { type: "code", children: [{ type: "text", text: asPlain(inside) }] },
      end: close + 1,
    };
  }
  if (MARKS[letter]) return marked(text, at, verbatim);
  const before = text[at - 1] ?? " ";
  if (letter === ":" && !WORD.test(before)) {
    const name = /^:([a-z0-9_+'-]+):(?::skin-tone-\d:)?/.exec(text.slice(at, at + 80));
    if (name) return { node: { type: "emoji", name: name[1] }, end: at + name[0].length };
  }
  if (letter === "h" && !verbatim && !WORD.test(before)) {
    const address = /^https?:\/\/[^\s<>|]*[^\s<>|.,;:!?)'"]/.exec(text.slice(at, at + 3000));
    if (address) {
      const url = decoded(address[0]);
      return { node: link(url, url), end: at + address[0].length };
    }
  }
  return null;
}

/** What stands between two of the same marks, which must hug their words. */
function marked(text, at, verbatim) {
  const mark = text[at];
  const before = text[at - 1] ?? " ";
  const after = text[at + 1] ?? " ";
  if (WORD.test(before) || before === mark || /\s/.test(after) || after === mark) return null;
  for (let end = at + 1; end < text.length; end += 1) {
    if (text[end] === "\n") return null;
    if (text[end] === "<" || text[end] === "`") {
      const skip = text.indexOf(text[end] === "<" ? ">" : "`", end + 1);
      if (skip > end) end = skip;
      continue;
    }
    if (text[end] !== mark || /\s/.test(text[end - 1])) continue;
    if (WORD.test(text[end + 1] ?? " ")) continue;
    const children = inline(text.slice(at + 1, end), verbatim);
    return { node: { type: MARKS[mark], children }, end: end + 1 };
  }
  return null;
}

function token(text, at) {
  const close = text.indexOf(">", at);
  if (close <= at + 1 || text.slice(at, close).includes("\n")) return null;
  const [target, ...labels] = text.slice(at + 1, close).split("|");
  const label = labels.length ? decoded(labels.join("|")) : null;
  const node = meaning(target, label);
  return node && { node, end: close + 1 };
}

function meaning(target, label) {
  const id = target.slice(1);
  if (target.startsWith("@")) return { type: "user", id, label };
  if (target.startsWith("#")) return { type: "channel", id, label };
  if (target.startsWith("!subteam^")) return { type: "group", id: id.split("^")[1], label };
  if (target.startsWith("!date^")) {
    const [, seconds, format, ...url] = target.split("^");
    if (!/^\d+$/.test(seconds) || !format) return { type: "text", text: label ?? "" };
    return {
      type: "date",
      seconds: Number(seconds),
      format: decoded(format),
      url: url.length ? decoded(url.join("^")) : null,
      fallback: label ?? "",
    };
  }
  if (target.startsWith("!")) return { type: "broadcast", range: id.split("^")[0], label };
  if (!/^[a-z][a-z0-9+.-]*:/i.test(target)) return null;
  const url = decoded(target);
  return link(url, label ?? url.replace(/^mailto:/, ""));
}

const link = (url, words) => ({ type: "link", url, children: [{ type: "text", text: words }] });

/** A text inside code: tokens stand there as the words they would show. */
function asPlain(text) {
  return decoded(
    text.replace(/<([^<>\n]+)>/g, (whole, inside) => {
      const [target, label] = inside.split("|");
      return /^[a-z][a-z0-9+.-]*:/i.test(target) ? (label ?? target) : whole;
    }),
  );
}
