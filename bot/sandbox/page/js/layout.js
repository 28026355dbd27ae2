// The columns of the page, the line above the conversation, and on narrow screens the tabs.

import { h, icon, setText } from "./dom.js";

const TABS = [
  ["conversation", "Conversation"],
  ["eks", "EKS"],
  ["audit", "Audit"],
];
const PEOPLE =
  "M6 7.5a2.2 2.2 0 1 0 0-4.4 2.2 2.2 0 0 0 0 4.4Z M2 13c0-2.4 1.8-3.9 4-3.9s4 1.5 4 3.9 " +
  "M11 7.3a1.8 1.8 0 1 0 0-3.6 M11.6 9.4c1.5.3 2.5 1.6 2.5 3.4";

export function layout(app) {
  const { sidebar, conversation, home, composer, eks, audit } = app.parts;
  const bar = h("p", { class: "banner", role: "status", hidden: true });
  const person = h("select", { "aria-label": "You are", change: () => app.be(person.value) });
  const place = h("select", { "aria-label": "Where", change: () => app.go(place.value) });
  const tabs = TABS.map(([name, label]) =>
    h(
      "button",
      { type: "button", class: "tab", "data-tab": name, click: () => showTab(name) },
      label,
    ),
  );
  const title = h("h2", { class: "place-title" });
  const topic = h("p", { class: "quiet topic" });
  const members = h("p", { class: "quiet members" });
  const views = ["messages", "home"].map((name) =>
    h(
      "button",
      {
        type: "button",
        role: "tab",
        id: `tab-${name}`,
        class: "tab",
        "aria-controls": name,
        click: () => app.go(name === "home" ? "home" : "app"),
        keydown: (event) => {
          if (event.key !== "ArrowLeft" && event.key !== "ArrowRight") return;
          app.go(name === "home" ? "app" : "home");
          views[name === "home" ? 0 : 1].focus();
        },
      },
      name === "home" ? "Home" : "Messages",
    ),
  );
  const viewTabs = h(
    "div",
    { class: "view-tabs", role: "tablist", "aria-label": "Parts of the app" },
    views,
  );
  const middle = h(
    "main",
    { class: "middle", id: "panel-conversation" },
    app.hint.element,
    h(
      "header",
      { class: "place-head" },
      h("div", { class: "place-words" }, title, topic),
      viewTabs,
      members,
    ),
    conversation.element,
    home.element,
    composer.element,
  );
  const element = h(
    "div",
    { class: "page" },
    bar,
    h(
      "header",
      { class: "narrow-head" },
      person,
      place,
      h("nav", { class: "tabs", "aria-label": "Parts of the page" }, tabs),
    ),
    sidebar.element,
    middle,
    h(
      "aside",
      { class: "right", "aria-label": "What AWS holds and what happened" },
      eks.element,
      audit.element,
    ),
  );

  function showTab(name) {
    element.dataset.tab = name;
    for (const tab of tabs) tab.setAttribute("aria-pressed", String(tab.dataset.tab === name));
  }
  showTab("conversation");

  function render() {
    const { ui, directory, state } = app;
    const channel = directory.channels.get(ui.place) ?? null;
    const isHome = ui.place === "home";
    setText(title, app.placeName());
    const count = app.unread(ui.person);
    const news = count ? `(${count}) ` : "";
    document.title = `${news}${directory.name(ui.person)} · ${app.placeName()} · eks-access sandbox`;
    setText(
      topic,
      channel ? channel.topic || "" : "Direct messages with the bot, and its Home tab",
    );
    viewTabs.hidden = channel !== null;
    members.hidden = channel === null;
    if (channel) drawMembers(members, channel, directory);
    views.forEach((tab, at) => {
      tab.setAttribute("aria-selected", String((at === 1) === isHome));
      tab.tabIndex = (at === 1) === isHome ? 0 : -1;
    });
    conversation.element.hidden = isHome;
    composer.element.classList.toggle("only-status", isHome);
    home.element.hidden = !isHome;
    const people = directory.playable.map((one) => {
      const news = one.id === ui.person ? 0 : app.unread(one.id);
      return [one.id, `${directory.name(one.id)}${news ? ` (${news} new)` : ""}`];
    });
    fill(person, people, ui.person);
    const there = app.channels().map((one) => {
      const news = app.unread(ui.person, one.id);
      return [one.id, `#${one.name}${news ? ` (${news} new)` : ""}`];
    });
    fill(place, [...there, ["app", state.app.name], ["home", `${state.app.name}: Home`]], ui.place);
  }

  /** A sentence over the page while the sandbox does not answer; empty to take it away. */
  function banner(sentence) {
    setText(bar, sentence);
    bar.hidden = sentence === "";
  }

  return { element, render, banner, showTab };
}

function drawMembers(node, channel, directory) {
  const people = channel.members.filter((id) => directory.people.get(id)?.kind !== "bot");
  const words = `${people.length} people`;
  if (node.dataset.words === words) return;
  node.dataset.words = words;
  node.replaceChildren(icon(PEOPLE), words);
}

function fill(select, options, chosen) {
  const sign = JSON.stringify(options);
  if (select.dataset.sign !== sign) {
    select.dataset.sign = sign;
    select.replaceChildren(...options.map(([value, label]) => h("option", { value }, label)));
  }
  select.value = chosen;
}
