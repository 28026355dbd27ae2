// The keyboard: being somebody else, going to another channel, beginning to write.

export function listen(app) {
  document.addEventListener("keydown", (event) => {
    if (!app.state) return;
    if (event.altKey && !event.ctrlKey && !event.metaKey) withAlt(app, event);
    else if (event.key === "/" && !typing(event.target) && !app.parts.modals.isOpen()) {
      event.preventDefault();
      app.showTab("conversation");
      if (app.ui.place === "home") app.go("app");
      app.focusComposer();
    }
  });
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden && app.state) app.refreshAll();
  });
}

function withAlt(app, event) {
  // By its place on the keyboard: with Alt the letter itself differs from system to system.
  const digit = /^(?:Digit|Numpad)([1-9])$/.exec(event.code);
  const person = digit && app.directory.playable[Number(digit[1]) - 1];
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (person) {
    event.preventDefault();
    app.be(person.id);
  } else if (step !== undefined && !app.parts.modals.isOpen()) {
    event.preventDefault();
    app.places.step(step);
  }
}

const typing = (target) => target.closest("input, textarea, select, [contenteditable]") !== null;
