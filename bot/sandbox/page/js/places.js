// Who one is and where: kept in the address, so that two windows can be two people.

/** A place is "app" (direct messages with the bot), "home" (its Home tab) or a channel's id. */
export class Places {
  constructor(app) {
    this.app = app;
    this.last = new Map();
    window.addEventListener("hashchange", () => {
      if (app.state && this.readAddress()) this.arrive();
    });
  }

  /** Makes sure that the person and the place are there, after each new state. */
  settle() {
    const { ui, directory } = this.app;
    if (ui.person === null) {
      this.readAddress();
      ui.person ??= directory.playable[0]?.id ?? null;
      if (ui.person) this.arrive(false);
      return;
    }
    if (!directory.playable.some((one) => one.id === ui.person)) {
      ui.person = directory.playable[0]?.id ?? null;
    }
    if (!this.isPlace(ui.place)) ui.place = "app";
  }

  readAddress() {
    const [person, place] = location.hash.slice(1).split("/");
    const { ui, directory } = this.app;
    if (!directory.playable.some((one) => one.id === person)) return false;
    const same = ui.person === person && ui.place === place;
    ui.person = person;
    ui.place = this.isPlace(place) ? place : "app";
    return !same;
  }

  isPlace(place) {
    return place === "app" || place === "home" || this.channels().some((one) => one.id === place);
  }

  /** The channels this person finds in their client: their own first. */
  channels() {
    const { state, directory, person } = this.app;
    if (!person) return [];
    const seen = state.channels.filter((one) => directory.maySee(person, one));
    const own = (one) => (one.members.includes(person.id) && !one.is_archived ? 0 : 1);
    return seen.sort((one, two) => own(one) - own(two) || one.name.localeCompare(two.name));
  }

  /** Becomes somebody; where they were last, unless a place is given. */
  be(person, place) {
    const { ui, directory } = this.app;
    if (!directory.playable.some((one) => one.id === person)) return;
    ui.person = person;
    const wanted = place ?? this.last.get(person) ?? ui.place;
    ui.place = this.isPlace(wanted) ? wanted : "app";
    this.arrive();
  }

  go(place) {
    this.app.ui.place = this.isPlace(place) ? place : "app";
    this.arrive();
  }

  /** Goes to the next (1) or previous (-1) channel or app. */
  step(by) {
    const every = [...this.channels().map((one) => one.id), "app"];
    const { place } = this.app.ui;
    const at = every.indexOf(place === "home" ? "app" : place);
    this.go(every[(at + by + every.length) % every.length]);
  }

  goToMessage(channel, ts) {
    const { app } = this;
    const messages = app.state.messages[channel] ?? [];
    const message = messages.find((one) => one.ts === ts);
    const thread = message?.thread_ts ?? ts;
    if (thread !== ts) app.ui.open.add(`${channel} ${thread}`);
    app.showTab("conversation");
    this.go(app.state.dms.some((dm) => dm.id === channel) ? "app" : channel);
    app.parts.conversation.reveal(ts);
  }

  arrive(focus = true) {
    const { app } = this;
    const { ui } = app;
    this.last.set(ui.person, ui.place);
    ui.reply = null;
    history.replaceState(null, "", `#${ui.person}/${ui.place}`);
    app.say("");
    app.render();
    if (ui.place === "home") app.act("home", {}, { quiet: true });
    else if (ui.place === "app" && !app.person.dm) app.act("dm", {}, { quiet: true });
    if (focus) app.focusComposer();
  }

  channelId() {
    const { ui, person } = this.app;
    return ui.place === "app" || ui.place === "home" ? (person?.dm ?? null) : ui.place;
  }

  channel() {
    return this.app.directory.channels.get(this.app.ui.place) ?? null;
  }

  name() {
    const channel = this.channel();
    return channel ? `#${channel.name}` : this.app.state.app.name;
  }

  isMember() {
    const channel = this.channel();
    return channel === null || channel.members.includes(this.app.ui.person);
  }

  /** Why nothing can be written here; empty where it can. */
  cannotWrite() {
    if (this.channel()?.is_archived) return "This channel is archived.";
    if (this.isMember()) return "";
    return `${this.app.directory.firstName(this.app.ui.person)} is not a member of ${this.name()}.`;
  }
}
