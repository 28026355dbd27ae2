// Who is who in the workspace, and how that is said.

const KINDS = {
  admin: "admin",
  guest: "guest",
  single_channel_guest: "guest in one channel",
  outsider: "from another organisation",
  deactivated: "deactivated",
  bot: "app",
};

/** A kind in words; empty for a full member. */
export const kindWords = (person) => KINDS[person.kind] ?? "";

/** Lookups over one state of the workspace. */
export class Directory {
  constructor(state) {
    const byId = (list) => new Map(list.map((one) => [one.id, one]));
    this.people = byId(state.people);
    this.groups = byId(state.groups);
    this.channels = byId(state.channels);
    this.playable = state.people.filter((person) => person.playable);
    this.order = new Map(state.people.map((person, place) => [person.id, place]));
  }

  /** The name people read; the id itself where nobody has it. */
  name(id) {
    const person = this.people.get(id);
    return person ? person.real_name || person.display_name || person.name : id;
  }

  firstName(id) {
    return this.name(id).split(" ")[0];
  }

  initials(id) {
    const words = this.name(id)
      .split(/[\s.-]+/)
      .filter(Boolean);
    return words
      .slice(0, 2)
      .map((word) => word[0].toUpperCase())
      .join("");
  }

  /** One of six tints, so that people are told apart at a glance; the name stands beside it. */
  tint(id) {
    const person = this.people.get(id);
    return person?.kind === "bot" || !person ? "app" : String((this.order.get(id) ?? 0) % 6);
  }

  group(id) {
    const group = this.groups.get(id);
    return group ? group.handle : id;
  }

  channel(id) {
    return this.channels.get(id)?.name ?? id;
  }

  /** Whether this person finds the channel in their client at all. */
  maySee(person, channel) {
    if (channel.members.includes(person.id)) return true;
    return channel.kind === "public" && ["member", "admin"].includes(person.kind);
  }
}
