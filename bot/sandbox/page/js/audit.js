// The audit trail as it grows, newest first.

import { h, keyed } from "./dom.js";
import { clockSeconds, dayIn, now } from "./time.js";

export function audit(app) {
  const list = h("ol", {
    class: "events scroll",
    tabindex: "0",
    "aria-label": "Audit events, newest first",
  });
  const element = h(
    "section",
    { class: "audit panel", id: "panel-audit", "aria-labelledby": "audit-title" },
    h("header", {}, h("h2", { id: "audit-title" }, "Audit trail")),
    list,
  );

  let filled = false;

  function render() {
    const events = app.audit ?? [];
    const empty = [{ key: "none" }];
    const times = new Map();
    const known = events.map((event) => ({ ...event, key: naming(event, times) }));
    keyed(list, known.length ? known : empty, {
      key: (event) => event.key,
      sign: (event) => `${app.viewer.tz} ${dayIn(now(), app.viewer.tz)} ${event.key} ${event.seal?.position}`,
      make: (event, isNew) => {
        if (event.key === "none") {
          return h(
            "li",
            { class: "empty" },
            "Nothing has happened yet. The first request is the first event.",
          );
        }
        const node = eventNode(event);
        if (isNew && filled) node.classList.add("arrived");
        return node;
      },
    });
    filled = app.audit !== null;
  }

  function eventNode(event) {
    const { tz } = app.viewer;
    const at = new Date(event.at);
    const today = dayIn(at, tz) === dayIn(now(), tz);
    const details = Object.entries(event.details ?? {}).filter(([, value]) => value !== null);
    const head = [
      h(
        "time",
        { datetime: event.at },
        today ? clockSeconds(at, tz) : `${dayIn(at, tz)} ${clockSeconds(at, tz)}`,
      ),
      h("span", { class: "action" }, event.action),
      h(
        "span",
        { class: "quiet who" },
        [app.directory.name(event.actor), event.cluster, event.request_id]
          .filter(Boolean)
          .join(" · "),
      ),
    ];
    const rows = [...details, ["seal", seal(event)]].map(([name, value]) => [
      h("dt", {}, name.replaceAll("_", " ")),
      h("dd", {}, typeof value === "object" ? JSON.stringify(value) : String(value)),
    ]);
    return h(
      "li",
      {},
      h(
        "details",
        { "data-details": event.key },
        h("summary", { class: "event" }, head),
        h("dl", {}, rows),
      ),
    );
  }

  return { element, render };
}

/** Where an event stands in the chain; the hash stands for all events up to it. */
function seal({ seal }) {
  return seal ? `position ${seal.position}, hash ${seal.hash.slice(0, 12)}…` : "not sealed yet";
}

/** An event's own id, or what tells it apart where the trail gives none. */
function naming(event, times) {
  const base = event.id ?? `${event.at} ${event.action} ${event.request_id} ${event.actor}`;
  const count = times.get(base) ?? 0;
  times.set(base, count + 1);
  return `${base} ${count}`;
}
