// Block Kit's blocks as elements, as Slack would show them. `ctx` is that of `elements.js`.

import { h, newId, setText } from "./dom.js";
import { element } from "./elements.js";
import { richText, textObject } from "./format.js";

/** The nodes of all blocks, in order. */
export function renderBlocks(blocks, ctx) {
  return blocks.map((block) => {
    const make = MAKERS[block.type];
    const inner = make ? make(block, ctx) : unknown(block);
    inner.classList.add("block");
    inner.dataset.block = block.block_id ?? "";
    return inner;
  });
}

function section(block, ctx) {
  const text = block.text ? h("div", { class: "text" }, textObject(block.text, ctx.who)) : null;
  const fields = block.fields
    ? h(
        "div",
        { class: "fields" },
        block.fields.map((field) => h("div", { class: "text" }, textObject(field, ctx.who))),
      )
    : null;
  const accessory = block.accessory
    ? h("div", { class: "accessory" }, part(block, block.accessory, ctx))
    : null;
  return h("div", { class: "section" }, h("div", { class: "words" }, text, fields), accessory);
}

const header = (block, ctx) => h("h3", { class: "header" }, textObject(block.text, ctx.who));
const divider = () => h("hr");

function context(block, ctx) {
  return h(
    "div",
    { class: "context" },
    block.elements.map((one) =>
      one.type === "image"
        ? picture(one, "small")
        : h("div", { class: "text" }, textObject(one, ctx.who)),
    ),
  );
}

const actions = (block, ctx) =>
  h(
    "div",
    { class: "actions" },
    block.elements.map((one) => part(block, one, ctx)),
  );

const CAPTIONLESS = new Set(["checkboxes", "radio_buttons"]);

function input(block, ctx) {
  const field = newId("field");
  const label = newId("label");
  const described = newId("about");
  const grouped = CAPTIONLESS.has(block.element.type);
  const labels = { "aria-labelledby": label, "aria-describedby": described, id: field };
  if (!block.optional && !grouped) labels["aria-required"] = "true";
  const inner = { ...ctx, field: { labels, optional: block.optional === true } };
  const optional = block.optional ? h("span", { class: "optional" }, " optional") : null;
  return h(
    "div",
    { class: "input" },
    h(
      grouped ? "div" : "label",
      { id: label, class: "label", for: grouped ? null : field },
      textObject(block.label, ctx.who),
      optional,
    ),
    element(block, block.element, inner) ?? unknown(block.element),
    h(
      "div",
      { id: described, class: "about" },
      h("p", { class: "problem", role: "alert", hidden: true }),
      block.hint ? h("p", { class: "hint" }, textObject(block.hint, ctx.who)) : null,
    ),
  );
}

/** Shows under each field what is wrong: {BLOCK_ID: sentence}. Gives the first such block. */
export function showErrors(root, errors) {
  let first = null;
  for (const node of root.querySelectorAll(".block.input")) {
    const sentence = errors[node.dataset.block] ?? "";
    const problem = node.querySelector(".problem");
    setText(problem, sentence);
    problem.hidden = sentence === "";
    node.classList.toggle("wrong", sentence !== "");
    const field = node.querySelector("[aria-labelledby]");
    if (sentence) field?.setAttribute("aria-invalid", "true");
    else field?.removeAttribute("aria-invalid");
    if (sentence) first ??= node;
  }
  return first;
}

function image(block, ctx) {
  const title = block.title ? h("figcaption", {}, textObject(block.title, ctx.who)) : null;
  return h("figure", { class: "image" }, title, picture(block, "large"));
}

/** An image that is in the data itself; of any other only the words, for nothing is fetched. */
function picture(spec, size) {
  if (/^data:image\/(png|jpeg|gif|webp|svg\+xml)[;,]/.test(spec.image_url ?? "")) {
    return h("img", { class: `picture ${size}`, src: spec.image_url, alt: spec.alt_text });
  }
  return h(
    "span",
    { class: `picture words ${size}`, role: "img", "aria-label": spec.alt_text },
    spec.alt_text,
  );
}

function markdown(block) {
  return h("div", { class: "text" }, block.text);
}

const part = (block, one, ctx) =>
  one.type === "image" ? picture(one, "medium") : (element(block, one, ctx) ?? unknown(one));

const unknown = (spec) => h("div", { class: "unknown" }, `This page cannot show a ${spec.type}.`);

const MAKERS = {
  section,
  header,
  divider,
  context,
  actions,
  input,
  image,
  markdown,
  rich_text: (block, ctx) => richText(block, ctx.who),
};
