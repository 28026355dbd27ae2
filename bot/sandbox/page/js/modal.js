// Modals: the top view of a person's stack in one dialog.

import { renderBlocks, showErrors } from "./blocks.js";
import { h, keyed, setText } from "./dom.js";
import { busy } from "./elements.js";
import { formOf, holding } from "./form.js";
import { textObject } from "./format.js";
import { dayIn, now } from "./time.js";

const FOCUSABLE = "input, textarea, select, button, [tabindex='0']";

export function modals(app) {
  const title = h("h2", { id: "modal-title" });
  const depth = h("span", { class: "depth" });
  const body = h("div", { class: "sheet-body" });
  const status = h("p", { class: "status", role: "status" });
  const close = h("button", { type: "button", class: "button", click: () => leave(false) });
  const closeAll = h(
    "button",
    { type: "button", class: "button quiet", click: () => leave(true) },
    "Close all",
  );
  const submit = h("button", { type: "submit", class: "button primary" });
  const content = h(
    "form",
    { novalidate: true, submit: (event) => send(event) },
    h("header", {}, title, depth),
    body,
    h("footer", {}, status, closeAll, close, submit),
  );
  const dialog = h(
    "dialog",
    {
      class: "sheet modal",
      "aria-labelledby": "modal-title",
      keydown: (event) => {
        if (event.key !== "Escape" || event.defaultPrevented) return;
        event.preventDefault();
        leave(false);
      },
      cancel: (event) => {
        if (event.target !== dialog) return;
        event.preventDefault();
        leave(false);
      },
    },
    content,
  );

  let view = null;
  let back = null;
  let hadFields = false;

  async function leave(clear) {
    if (view) await app.act("close", { view_id: view.id, clear });
  }

  async function send(event) {
    event.preventDefault();
    if (!view?.submit) return;
    await busy(submit, async () => {
      const sent = view;
      const form = formOf(sent.id);
      const answer = await app.act("submit", { view_id: sent.id, state: form.state(sent.blocks) });
      if (!answer || view?.id !== sent.id) return;
      form.errors = answer.errors ?? {};
      const wrong = showErrors(body, form.errors);
      wrong?.querySelector(FOCUSABLE)?.focus();
    });
  }

  function context() {
    const form = formOf(view.id);
    const shown = view;
    return {
      who: app.viewer,
      form,
      changed: (block) => {
        if (!form.errors[block.block_id]) return;
        delete form.errors[block.block_id];
        showErrors(body, form.errors);
      },
      redraw: () => app.render(),
      ...app.viewActs(() => (view?.id === shown.id ? view : shown), form),
    };
  }

  function render() {
    const stack = app.state.modals[app.ui.person] ?? [];
    const top = stack.at(-1) ?? null;
    const fresh = top?.id !== view?.id;
    view = top;
    if (!view) {
      if (dialog.open) {
        dialog.close();
        body.replaceChildren();
        if (back?.isConnected && back !== document.body) back.focus({ preventScroll: true });
        else app.focusComposer();
        back = null;
      }
      return;
    }
    const form = formOf(view.id);
    if (fresh) {
      body.scrollTop = 0;
      app.say("");
    }
    form.meet(view.blocks, view.state?.values);
    const ctx = context();
    title.replaceChildren(...textObject(view.title, app.viewer));
    setText(depth, stack.length > 1 ? `${stack.length} of 3 at most` : "");
    setText(close, view.close?.text ?? "Close");
    closeAll.hidden = stack.length < 2;
    submit.hidden = !view.submit;
    setText(submit, view.submit?.text ?? "");
    const action = fresh ? undefined : focusedAction();
    keyed(body, view.blocks, {
      key: (block) => `${view.id} ${block.block_id}`,
      sign: (block) => JSON.stringify([block, app.viewer.id, dayIn(now(), app.viewer.tz)]),
      make: (block) => renderBlocks([block], ctx)[0],
    });
    if (action && !focusedAction()) focusAction(action);
    showErrors(body, form.errors);
    if (!dialog.open) {
      back = document.activeElement;
      dialog.showModal();
    }
    const fields = [...holding(view.blocks)];
    // A view that was only being loaded gets its first field later.
    if (fresh || (!hadFields && fields.length > 0)) focusFirst(fields);
    hadFields = fields.length > 0;
  }

  /** The action id of the field one is in; fields that offer something else are made anew. */
  function focusedAction() {
    const at = document.activeElement;
    return body.contains(at) ? at.dataset.focus?.split("/").at(1) : undefined;
  }

  function focusAction(action) {
    const named = [...body.querySelectorAll("[data-focus]")];
    named.find((one) => one.dataset.focus.split("/").at(1) === action)?.focus();
  }

  function focusFirst(fields) {
    const wanted = fields.find(([, element]) => element.focus_on_load);
    const at = wanted && body.querySelector(`[data-block="${CSS.escape(wanted[0].block_id)}"]`);
    const last = view.submit ? submit : close;
    ((at ?? body).querySelector("input, textarea") ?? last).focus();
  }

  return { element: dialog, status, render, isOpen: () => dialog.open };
}
