// The sandbox's clock, which can be moved forward.

import { Problem, post } from "./api.js";
import { h, setText } from "./dom.js";
import { clockSeconds, everySecond, length, now, setClock } from "./time.js";

const STEPS = [
  ["+10 min", 600],
  ["+1 h", 3600],
];

export function clock(app) {
  const time = h("time", { class: "clock-time" });
  const city = h("span", { class: "quiet" });
  const ahead = h("span", { class: "quiet ahead" });
  let offset = 0;
  const button = ([label, seconds]) =>
    h(
      "button",
      {
        type: "button",
        class: "button small",
        "aria-label": `Move the clock ${label.slice(1)} forward`,
        click: () => advance(seconds),
      },
      label,
    );
  const element = h(
    "div",
    { class: "clock", role: "group", "aria-label": "The clock of the sandbox" },
    h("span", { class: "clock-words" }, h("span", {}, time, " ", city), ahead),
    STEPS.map(button),
  );

  /** Moves the sandbox's clock; everything in it follows. */
  async function advance(seconds) {
    try {
      take(await post("/sandbox/clock", { advance_seconds: seconds }));
      app.say(`The clock was moved ${length(seconds)} forward.`);
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      app.say(error.message, true);
    }
    app.refreshAll();
  }

  function take(read) {
    setClock(read.now);
    offset = Math.round(read.offset_seconds);
    render();
  }

  /** The time of whoever looks, and where that is: people here live in several time zones. */
  function render() {
    if (!app.viewer) return;
    setText(time, clockSeconds(now(), app.viewer.tz));
    setText(city, app.viewer.tz.split("/").pop().replaceAll("_", " "));
    setText(ahead, offset > 0 ? `${length(offset)} ahead` : "real time");
  }

  return { element, take, advance, render, start: () => everySecond(render) };
}
