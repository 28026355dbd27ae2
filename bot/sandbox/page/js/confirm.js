// "Are you sure?": Block Kit's confirmation as a dialog of its own.

import { h, newId } from "./dom.js";
import { textObject } from "./format.js";

/** Asks, and promises whether the person said yes. */
export function confirmed(spec, who) {
  return new Promise((answer) => {
    const title = newId("confirm");
    const text = newId("confirm");
    const back = document.activeElement;
    const button = (label, kind, value) =>
      h("button", { type: "submit", class: `button ${kind}`, value }, textObject(label, who));
    const yes = button(spec.confirm, spec.style === "danger" ? "danger solid" : "primary", "yes");
    const no = button(spec.deny, "", "no");
    const dialog = h(
      "dialog",
      {
        class: "sheet confirm",
        "aria-labelledby": title,
        "aria-describedby": text,
        close: () => {
          dialog.remove();
          if (back?.isConnected) back.focus({ preventScroll: true });
          answer(dialog.returnValue === "yes");
        },
      },
      h(
        "form",
        { method: "dialog" },
        h("h2", { id: title }, textObject(spec.title, who)),
        h("div", { id: text, class: "text" }, textObject(spec.text, who)),
        h("footer", {}, no, yes),
      ),
    );
    document.body.append(dialog);
    dialog.showModal();
    (spec.style === "danger" ? no : yes).focus();
  });
}
