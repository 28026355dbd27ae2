// What each person has not looked at yet, by the notifications that rang for them.

const KEPT = "eks-access.seen";

export class Unread {
  constructor(app) {
    this.app = app;
    this.seen = new Map();
    this.seq = 0;
    try {
      const kept = JSON.parse(sessionStorage.getItem(KEPT) ?? "null");
      if (kept) {
        this.seen = new Map(kept.seen);
        this.seq = kept.seq;
      }
    } catch {
      // What cannot be read counts as not kept.
    }
  }

  /** How many are new to this person, in one channel or in all. */
  count(person, channel) {
    return this.app.state.notifications.filter(
      (one) =>
        one.person === person &&
        (channel === undefined || one.channel === channel) &&
        one.id > (this.seen.get(`${person} ${one.channel}`) ?? -1),
    ).length;
  }

  /** What is on the screen now has been seen. */
  mark() {
    const { state, ui } = this.app;
    // A sandbox started anew counts from the beginning.
    if (state.seq < this.seq) this.seen.clear();
    this.seq = state.seq;
    if (document.hidden || ui.place === "home") return;
    const channel = this.app.channelId();
    const here = state.notifications.filter(
      (one) => one.person === ui.person && one.channel === channel,
    );
    if (here.length) this.seen.set(`${ui.person} ${channel}`, here.at(-1).id);
    try {
      sessionStorage.setItem(KEPT, JSON.stringify({ seq: this.seq, seen: [...this.seen] }));
    } catch {
      // Without storage the counts come back on reload.
    }
  }
}
