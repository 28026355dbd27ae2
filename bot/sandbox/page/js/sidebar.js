// The left column: who one is, where one can go, and what rang.

import { h, keyed, setText } from "./dom.js";
import { mrkdwn } from "./format.js";
import { kindWords } from "./people.js";
import { clockTime } from "./time.js";

const SHOWN_NOTIFICATIONS = 3;

export function sidebar(app) {
  const team = h("h1");
  const bot = h("p", { class: "bot-state", role: "status" });
  const people = h("ul", { class: "people" });
  const places = h("ul", { class: "places" });
  const apps = h("ul", { class: "places" });
  const rang = h("ul", { class: "rang" });
  const silence = h("p", { class: "quiet" }, "Nothing has rung for this person.");
  const heading = (words, id) => h("h2", { id }, words);
  const element = h(
    "nav",
    { class: "side scroll", "aria-label": "Workspace" },
    h("header", {}, team, bot),
    heading("You are", "you-are"),
    people,
    heading("Channels", "channels"),
    places,
    heading("Apps", "apps"),
    apps,
    heading("Notifications", "notifications"),
    silence,
    rang,
    h(
      "footer",
      { class: "help" },
      h("p", {}, keycap("Alt"), " + ", keycap("1"), "–", keycap("9"), " be somebody else"),
      h("p", {}, keycap("Alt"), " + ", keycap("↑"), " ", keycap("↓"), " other channel"),
      h("p", {}, keycap("/"), " write · ", keycap("Enter"), " send"),
      app.hint.opener,
    ),
  );
  people.setAttribute("aria-labelledby", "you-are");
  places.setAttribute("aria-labelledby", "channels");
  apps.setAttribute("aria-labelledby", "apps");
  rang.setAttribute("aria-labelledby", "notifications");

  function render() {
    const { state, ui, directory } = app;
    setText(team, state.team.name);
    setText(bot, state.app.connections > 0 ? "The bot is connected" : "The bot is not connected");
    bot.classList.toggle("off", state.app.connections === 0);
    keyed(people, directory.playable, {
      key: (one) => one.id,
      sign: (one) =>
        JSON.stringify([one, one.id === ui.person, app.unread(one.id), app.hasModal(one.id)]),
      make: (one) => personRow(one),
    });
    const place = (one) => ({
      key: one.key,
      label: one.label,
      mark: one.mark,
      note: one.note ?? "",
      count: one.channel ? app.unread(ui.person, one.channel) : 0,
      here: ui.place === one.key || (one.key === "app" && ui.place === "home"),
    });
    const rows = {
      key: (one) => one.key,
      sign: JSON.stringify,
      make: (one) => placeRow(one),
    };
    keyed(
      places,
      app
        .channels()
        .map((one) =>
          place({ key: one.id, label: one.name, mark: "#", channel: one.id, note: placeNote(one) }),
        ),
      rows,
    );
    keyed(
      apps,
      [place({ key: "app", label: state.app.name, mark: "", channel: app.person?.dm, note: "" })],
      rows,
    );
    const mine = state.notifications.filter((one) => one.person === ui.person);
    const newest = mine.slice(-SHOWN_NOTIFICATIONS).reverse();
    silence.hidden = newest.length > 0;
    keyed(rang, newest, {
      key: (one) => one.id,
      sign: (one) => JSON.stringify([one, app.viewer.tz]),
      make: (one) => notification(one),
    });
  }

  function placeNote(channel) {
    if (channel.is_archived) return "archived";
    if (!channel.members.includes(app.ui.person)) return "not a member";
    return channel.kind === "private" ? "private" : "";
  }

  function personRow(one) {
    const { directory } = app;
    const current = one.id === app.ui.person;
    const number = directory.playable.indexOf(one) + 1;
    const unread = app.unread(one.id);
    const notes = [one.title, kindWords(one)].filter(Boolean).join(" · ");
    return h(
      "li",
      {},
      h(
        "button",
        {
          type: "button",
          class: "person",
          "aria-pressed": String(current),
          "aria-keyshortcuts": number <= 9 ? `Alt+${number}` : null,
          "data-focus": one.id,
          click: () => app.be(one.id),
        },
        h(
          "span",
          { class: `avatar tint-${directory.tint(one.id)}`, "aria-hidden": "true" },
          directory.initials(one.id),
        ),
        h(
          "span",
          { class: "person-words" },
          h("span", { class: "person-name" }, directory.name(one.id)),
          h(
            "small",
            {},
            notes || "member",
            app.hasModal(one.id) && !current ? " · a form is open" : "",
          ),
        ),
        badge(unread),
      ),
    );
  }

  function placeRow(one) {
    return h(
      "li",
      {},
      h(
        "button",
        {
          type: "button",
          class: "place",
          "aria-current": one.here ? "page" : null,
          "data-focus": one.key,
          click: () => app.go(one.key),
        },
        h("span", { class: "mark", "aria-hidden": "true" }, one.mark),
        h("span", { class: "place-name" }, one.label),
        one.note ? h("small", {}, one.note) : null,
        badge(one.count),
      ),
    );
  }

  function notification(one) {
    const dm = app.state.dms.some((place) => place.id === one.channel);
    const where = dm ? app.state.app.name : `#${app.directory.channel(one.channel)}`;
    return h(
      "li",
      {},
      h(
        "button",
        {
          type: "button",
          "data-focus": `n${one.id}`,
          click: () => app.goToMessage(one.channel, one.ts),
        },
        h("small", {}, `${where} · ${clockTime(new Date(one.at), app.viewer.tz)}`),
        h("span", { class: "clip" }, mrkdwn(one.text, app.viewer)),
      ),
    );
  }

  return { element, render };
}

const keycap = (label) => h("kbd", {}, label);

/** A count of what is new, with the word beside the number for those who only hear it. */
function badge(count) {
  if (!count) return null;
  return h("span", { class: "badge" }, String(count), h("span", { class: "hidden-words" }, " new"));
}
