// The first visit: the story in three steps, and what to try where there is nothing yet.

import { h, icon } from "./dom.js";

const SEEN = "eks-access.steps-seen";
const ANA = "U01ANA";
const BEN = "U02BEN";
const OWNERS = "C02PAYMENTS";
const FIRST =
  "/eks-access request modern-access-lab view --namespace default --for 30m Looking at the pods";
const ASK =
  "/eks-access request prod-eu edit --namespace payments --for 2h --ticket PAY-1423 " +
  "Clearing a stuck settlement job";
const DONE = "M2.5 8.6l3.4 3.4 7.6-8";

export function hint(app) {
  const steps = h("ol");
  const element = h(
    "aside",
    { class: "steps", "aria-label": "Three steps to try", hidden: stored() },
    steps,
    h("button", { type: "button", class: "button quiet", click: hide }, "Hide"),
  );

  const opener = h(
    "button",
    { type: "button", class: "button quiet", hidden: !element.hidden, click: show },
    "Show the three steps",
  );

  function hide() {
    element.hidden = true;
    opener.hidden = false;
    store(true);
    app.focusComposer();
  }

  function show() {
    element.hidden = false;
    opener.hidden = true;
    store(false);
    element.querySelector("button").focus();
  }

  function render() {
    const { people, channels } = app.directory;
    if (!people.has(ANA) || !people.has(BEN) || !channels.has(OWNERS)) {
      element.hidden = true;
      opener.hidden = true;
      return;
    }
    const ana = app.directory.firstName(ANA);
    const ben = app.directory.firstName(BEN);
    const done = new Set((app.audit ?? []).map((event) => event.action));
    const list = [
      step(
        "request.submitted",
        `Ask as ${ana}`,
        "Send this request with Enter.",
        "Write it for me",
        () => {
          app.be(ANA, "app");
          app.write(ASK);
        },
      ),
      step(
        "request.reviewed",
        `Approve as ${ben}`,
        "The owners' channel has the card.",
        `Be ${ben}`,
        () => app.be(BEN, OWNERS),
      ),
      step(
        "grant.ended",
        "Watch EKS",
        "The entry comes, and goes when its time is over.",
        "Move the clock 1 h",
        () => {
          app.showTab("eks");
          app.clock.advance(3600);
        },
      ),
    ];
    const sign = JSON.stringify([ana, ben, list.map((one) => done.has(one.action))]);
    if (steps.dataset.sign === sign) return;
    steps.dataset.sign = sign;
    steps.replaceChildren(
      ...list.map((one) =>
        h(
          "li",
          { class: done.has(one.action) ? "done" : "" },
          h(
            "strong",
            {},
            one.title,
            done.has(one.action) ? [icon(DONE), h("span", { class: "quiet" }, "done")] : null,
          ),
          h("span", { class: "quiet" }, one.words),
          h("button", { type: "button", class: "button small", click: one.go }, one.label),
        ),
      ),
    );
  }

  /** What an empty conversation says. */
  function empty() {
    if (app.ui.place !== "app" || !app.isMember()) {
      const words = app.isMember()
        ? "Nothing has been said here yet. Requests that need approval appear in their owners' channel."
        : "This person is not a member of the channel.";
      return h("div", { class: "empty" }, h("p", {}, words));
    }
    return h(
      "div",
      { class: "empty" },
      h(
        "p",
        {},
        "Nothing here yet. Type this, or ",
        h("code", {}, "/eks-access"),
        " alone for the form:",
      ),
      h("p", {}, h("code", { class: "try" }, FIRST)),
      h(
        "button",
        { type: "button", class: "button", click: () => app.write(FIRST) },
        "Write it for me",
      ),
    );
  }

  return { element, opener, render, empty };
}

const step = (action, title, words, label, go) => ({ action, title, words, label, go });

function stored() {
  try {
    return localStorage.getItem(SEEN) === "yes";
  } catch {
    return false;
  }
}

function store(seen) {
  try {
    localStorage.setItem(SEEN, seen ? "yes" : "no");
  } catch {
    // Without storage the steps come back on the next visit.
  }
}
