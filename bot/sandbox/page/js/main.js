// The page put together: what is known, who one is, and the parts that show it.

import { Problem, actAs, inWords, read } from "./api.js";
import { audit } from "./audit.js";
import { clock } from "./clock.js";
import { composer } from "./composer.js";
import { conversation } from "./conversation.js";
import { eks } from "./eks.js";
import { Viewer } from "./format.js";
import { hint } from "./hint.js";
import { home } from "./home.js";
import { listen } from "./keys.js";
import { layout } from "./layout.js";
import { coalesced, follow } from "./live.js";
import { modals } from "./modal.js";
import { Directory } from "./people.js";
import { Places } from "./places.js";
import { sidebar } from "./sidebar.js";
import { everySecond, setClock, tickEnds } from "./time.js";
import { Unread } from "./unread.js";

const WAITING_MS = 250;

class App {
  constructor() {
    this.state = null;
    this.eks = null;
    this.audit = null;
    this.ui = { person: null, place: "app", reply: null, open: new Set(), drafts: new Map() };
    this.places = new Places(this);
    this.seen = new Unread(this);
    this.render = this.render.bind(this);
    this.hint = hint(this);
    this.clock = clock(this);
    this.parts = {
      sidebar: sidebar(this),
      conversation: conversation(this),
      home: home(this),
      composer: composer(this),
      eks: eks(this),
      audit: audit(this),
      modals: modals(this),
    };
    this.layout = layout(this);
    this.problems = new Map();
    const reader = (name, work) => coalesced(() => this.reading(name, work));
    this.refresh = reader("state", () => this.readState());
    this.refreshEks = reader("eks", () => this.readEks());
    this.refreshAudit = reader("audit", () => this.readAudit());
    this.refreshClock = reader("clock", () => this.readClock());
  }

  async start() {
    document.body.append(this.layout.element, this.parts.modals.element);
    listen(this);
    await this.reading("forms", async () => {
      const { forms } = await read("/page/commands.json");
      this.parts.composer.setForms(forms);
    });
    await this.refresh();
    await Promise.all([this.refreshEks(), this.refreshAudit(), this.refreshClock()]);
    follow((news) => this.heard(news));
    this.clock.start();
    everySecond(() => tickEnds());
    this.focusComposer();
  }

  // Reading

  /** Runs something that reads; the banner says what did not succeed, until it does. */
  async reading(name, work) {
    try {
      await work();
      this.problem(name, "");
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      this.problem(name, error.message);
    }
  }

  problem(name, sentence) {
    if (sentence) this.problems.set(name, sentence);
    else this.problems.delete(name);
    this.layout.banner([...this.problems.values()][0] ?? "");
  }

  async readState() {
    this.state = await read("/sandbox/state");
    setClock(this.state.now);
    this.directory = new Directory(this.state);
    this.places.settle();
    this.render();
  }

  async readEks() {
    this.eks = await read("/sandbox/eks");
    this.render();
  }

  async readAudit() {
    this.audit = (await read("/sandbox/audit?limit=100")).events;
    this.render();
  }

  async readClock() {
    this.clock.take(await read("/sandbox/clock"));
  }

  refreshAll() {
    this.refresh();
    this.refreshEks();
    this.refreshAudit();
    this.refreshClock();
  }

  heard({ kind, path }) {
    if (kind === "down") this.problem(path, "The sandbox does not answer. Trying again…");
    else if (kind === "up") this.problem(path, "");
    if (kind === "eks") this.refreshEks();
    else if (kind === "audit") this.refreshAudit();
    else if (kind === "up" || kind === "reset") this.refreshAll();
    else if (kind !== "down") this.refresh();
  }

  // Showing

  get person() {
    return this.directory?.people.get(this.ui.person) ?? null;
  }

  render() {
    if (!this.person) return;
    this.viewer = new Viewer(this.person, this.directory);
    this.seen.mark();
    for (const part of Object.values(this.parts)) part.render();
    this.layout.render();
    this.hint.render();
    this.clock.render();
  }

  /** Says a sentence beside the composer and in an open modal. */
  say(text, isProblem = false) {
    for (const status of [this.parts.composer.status, this.parts.modals.status]) {
      status.textContent = text;
      status.classList.toggle("problem", isProblem);
    }
  }

  /** Puts the focus where one writes; not on a touch screen, whose keyboard would come up. */
  focusComposer() {
    if (this.parts.modals.isOpen() || matchMedia("(hover: none)").matches) return;
    this.parts.composer.focus();
  }

  write(text) {
    this.showTab("conversation");
    this.parts.composer.write(text);
  }

  showTab(name) {
    this.layout.showTab(name);
  }

  // Where one is: see places.js

  be = (person, place) => this.places.be(person, place);
  go = (place) => this.places.go(place);
  goToMessage = (channel, ts) => this.places.goToMessage(channel, ts);
  channels = () => this.places.channels();
  channelId = () => this.places.channelId();
  placeName = () => this.places.name();
  isMember = () => this.places.isMember();
  cannotWrite = () => this.places.cannotWrite();
  draftKey = () => `${this.ui.person} ${this.ui.place}`;
  unread = (person, channel) => this.seen.count(person, channel);
  hasModal = (person) => (this.state.modals[person] ?? []).length > 0;

  // Threads

  isOpen(message) {
    return this.ui.open.has(`${message.channel} ${message.ts}`);
  }

  toggleThread(message) {
    const key = `${message.channel} ${message.ts}`;
    if (!this.ui.open.delete(key)) this.ui.open.add(key);
    this.render();
  }

  replyTo(message) {
    this.ui.reply = message;
    if (message) this.ui.open.add(`${message.channel} ${message.ts}`);
    this.render();
    this.focusComposer();
  }

  // Acting

  /** Acts as the person one is. Gives the answer, or null where the sandbox refused. */
  async act(name, body, { quiet = false } = {}) {
    const waiting = setTimeout(() => quiet || this.say("Waiting for the bot…"), WAITING_MS);
    try {
      const answer = await actAs(this.ui.person, name, body);
      if (answer.error) this.say(inWords(answer.error), true);
      else if (!quiet) this.say(answered(answer));
      return answer;
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      this.say(error.message, true);
      return null;
    } finally {
      clearTimeout(waiting);
      this.refresh();
    }
  }

  /** Asks for the options of an external select; an error is a sentence for its list. */
  async suggest(body) {
    const answer = await actAs(this.ui.person, "suggest", body);
    if (answer.error) throw new Problem(inWords(answer.error));
    const simple = (option, group) => ({
      text: option.text.text,
      value: option.value,
      note: option.description?.text,
      group,
      option,
    });
    const groups = answer.option_groups ?? [];
    const grouped = groups.flatMap((one) =>
      one.options.map((option) => simple(option, one.label.text)),
    );
    return [...(answer.options ?? []).map((option) => simple(option)), ...grouped];
  }

  /** How the elements of a view act; `view()` is the view as it is at that moment. */
  viewActs(view, form) {
    const naming = (block, element) => ({
      view_id: view().id,
      action_id: element.action_id,
      block_id: block.block_id,
      state: form.state(view().blocks),
    });
    return {
      use: (block, element, value = null) =>
        this.act("view-action", { ...naming(block, element), value }),
      suggest: (block, element, query) => this.suggest({ ...naming(block, element), query }),
    };
  }
}

function answered({ latency_ms: latency }) {
  return latency === null || latency === undefined
    ? ""
    : `The bot answered in ${Math.round(latency)} ms.`;
}

const app = new App();
app.start();
