// The Home tab of the app.

import { renderBlocks } from "./blocks.js";
import { h, keyed } from "./dom.js";
import { formOf } from "./form.js";
import { dayIn, now } from "./time.js";

export function home(app) {
  const blocks = h("div", { class: "home-blocks" });
  const empty = h("p", { class: "empty" });
  const element = h(
    "section",
    {
      class: "home scroll",
      id: "home",
      role: "tabpanel",
      "aria-labelledby": "tab-home",
      tabindex: "0",
    },
    empty,
    blocks,
  );
  let shown = null;

  function render() {
    const view = app.state.homes[app.ui.person] ?? null;
    empty.hidden = view !== null;
    empty.textContent =
      "The bot has not published a Home tab for this person yet. It does so when it is opened.";
    if (!view) {
      keyed(blocks, [], {});
      shown = null;
      return;
    }
    if (shown !== view.id) element.scrollTop = 0;
    shown = view.id;
    const form = formOf(view.id);
    form.meet(view.blocks, view.state?.values);
    const current = () => app.state.homes[app.ui.person] ?? view;
    const ctx = { who: app.viewer, form, redraw: app.render, ...app.viewActs(current, form) };
    keyed(blocks, view.blocks, {
      key: (block) => `${view.id} ${block.block_id}`,
      sign: (block) => JSON.stringify([block, app.viewer.id, dayIn(now(), app.viewer.tz)]),
      make: (block) => renderBlocks([block], ctx)[0],
    });
  }

  return { element, render };
}
