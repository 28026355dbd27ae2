// A few emoji as drawings of the page's own, so that they look the same without an emoji font.
// Any other name is shown as text.

import { h, icon } from "./dom.js";

const DRAWN = {
  warning: ["warn", "M8 2.2 14.6 13.6H1.4Z M8 6.4v3.4 M8 11.6v.4"],
  rotating_light: [
    "danger",
    "M4.5 12V8.5a3.5 3.5 0 0 1 7 0V12 M3 13.5h10 M8 1v1.6 M2.4 3.4l1.2 1.2 M13.6 3.4l-1.2 1.2",
  ],
  white_check_mark: ["good", "M2.5 8.6l3.4 3.4 7.6-8"],
  heavy_check_mark: ["good", "M2.5 8.6l3.4 3.4 7.6-8"],
  x: ["danger", "M3.5 3.5l9 9 M12.5 3.5l-9 9"],
  no_entry: ["danger", "M8 2a6 6 0 1 0 0 12A6 6 0 0 0 8 2Z M4.8 8h6.4"],
  hourglass: ["quiet", "M4 2h8 M4 14h8 M5 2c0 4 6 4 6 6s-6 2-6 6 M11 2c0 4-6 4-6 6"],
  hourglass_flowing_sand: [
    "quiet",
    "M4 2h8 M4 14h8 M5 2v2.5l3 3.5 3-3.5V2 M5 14v-2.5l3-3.5 3 3.5V14",
  ],
  lock: ["quiet", "M3.5 7h9v6.5h-9Z M5.5 7V5a2.5 2.5 0 0 1 5 0v2"],
  unlock: ["quiet", "M3.5 7h9v6.5h-9Z M5.5 7V5a2.5 2.5 0 0 1 4.8-1"],
  key: ["quiet", "M5 8.5a2.5 2.5 0 1 0 0 5 2.5 2.5 0 0 0 0-5Z M6.8 9.2 13 3 M11 5l1.8 1.8"],
  bell: ["quiet", "M3 11.5h10 M4.5 11.5V7a3.5 3.5 0 0 1 7 0v4.5 M7 13.8h2"],
  eyes: ["quiet", "M1.5 8S4 4 8 4s6.5 4 6.5 4S12 12 8 12 1.5 8 1.5 8Z M8 6.5a1.5 1.5 0 1 0 .01 0Z"],
};

/** An emoji by its name, without the colons. */
export function emoji(name) {
  const drawn = DRAWN[name];
  if (!drawn) return document.createTextNode(`:${name}:`);
  const [tone, path] = drawn;
  const label = name.replaceAll("_", " ");
  return h("span", { class: `emoji ${tone}`, role: "img", "aria-label": label }, icon(path));
}
