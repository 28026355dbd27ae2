// Times in the viewer's own time zone, and the sandbox's clock, which may be ahead of real time.

let ahead = 0;

/** Takes over the sandbox's time, an ISO text. */
export function setClock(iso) {
  const read = Date.parse(iso) - Date.now();
  // Small differences are the network's, not the clock's.
  if (Math.abs(read - ahead) > 400) ahead = read;
}

export const now = () => new Date(Date.now() + ahead);

const formats = new Map();

function format(tz, name, options) {
  const key = `${tz} ${name}`;
  if (!formats.has(key)) {
    let made;
    try {
      made = new Intl.DateTimeFormat("en-GB", { timeZone: tz, ...options });
    } catch {
      made = new Intl.DateTimeFormat("en-GB", { timeZone: "UTC", ...options });
    }
    formats.set(key, made);
  }
  return formats.get(key);
}

const TIME = { hour: "2-digit", minute: "2-digit", hourCycle: "h23" };
const SECONDS = { ...TIME, second: "2-digit" };
const DAY = { year: "numeric", month: "2-digit", day: "2-digit" };

export const clockTime = (date, tz) => format(tz, "time", TIME).format(date);
export const clockSeconds = (date, tz) => format(tz, "seconds", SECONDS).format(date);

/** The day in that zone as 2026-01-31. */
export function dayIn(date, tz) {
  const parts = format(tz, "day", DAY).formatToParts(date);
  const part = (name) => parts.find((one) => one.type === name).value;
  return `${part("year")}-${part("month")}-${part("day")}`;
}

/** The day in words, for a line between messages. */
export function dayWords(date, tz) {
  const near = nearDay(date, tz);
  const words = format(tz, "long", { weekday: "long", day: "numeric", month: "long" });
  return near ? capital(near) : words.format(date);
}

function nearDay(date, tz) {
  const days = (one) => Date.parse(dayIn(one, tz)) / 86_400_000;
  return { "-1": "yesterday", 0: "today", 1: "tomorrow" }[days(date) - days(now())] ?? null;
}

const DATES = {
  date: { day: "numeric", month: "long", year: "numeric" },
  date_short: { day: "numeric", month: "short", year: "numeric" },
  date_long: { weekday: "long", day: "numeric", month: "long", year: "numeric" },
};

/** What Slack's token `<!date^ts^format|…>` shows. Source: Slack, "Formatting message text". */
export function dateToken(seconds, pattern, tz) {
  const date = new Date(seconds * 1000);
  return pattern.replace(/\{(\w+)\}/g, (whole, name) => {
    const pretty = /^(date|date_short|date_long)_pretty$/.exec(name);
    if (pretty) return nearDay(date, tz) ?? format(tz, pretty[1], DATES[pretty[1]]).format(date);
    if (DATES[name]) return format(tz, name, DATES[name]).format(date);
    if (name === "date_num") return dayIn(date, tz);
    if (name === "date_slash") return dayIn(date, tz).split("-").reverse().join("/");
    if (name === "time") return clockTime(date, tz);
    if (name === "time_secs") return clockSeconds(date, tz);
    if (name === "ago") return ago(date);
    return whole;
  });
}

function ago(date) {
  const seconds = Math.round((now() - date) / 1000);
  return seconds >= 0 ? `${length(seconds)} ago` : `in ${length(-seconds)}`;
}

/** A length in its two largest units: "1 h 58 min". */
export function length(seconds) {
  return units(seconds).slice(0, 2).join(" ");
}

/** A length to the second, for a countdown. The last units keep their width. */
function countdown(seconds) {
  return units(seconds).join(" ");
}

function units(seconds) {
  const all = [
    [Math.floor(seconds / 86_400), "d"],
    [Math.floor(seconds / 3600) % 24, "h"],
    [Math.floor(seconds / 60) % 60, "min"],
    [Math.floor(seconds) % 60, "s"],
  ];
  const first = all.findIndex(([count]) => count > 0);
  const shown = all.slice(first === -1 ? 3 : first);
  return shown.map(([count, unit], place) => {
    const figures = place > 0 ? String(count).padStart(2, "0") : String(count);
    return `${figures} ${unit}`;
  });
}

/** Epoch seconds of a local time "2026-01-31T13:45" in that zone. */
export function epochIn(local, tz) {
  const wanted = Date.parse(`${local}:00Z`);
  let guess = wanted;
  // Twice, for a guess on the other side of a change to summer time.
  for (let turn = 0; turn < 2; turn += 1) guess += wanted - Date.parse(`${localIn(guess, tz)}:00Z`);
  return Math.floor(guess / 1000);
}

/** The local time "2026-01-31T13:45" in that zone. */
export function localIn(milliseconds, tz) {
  const date = new Date(milliseconds);
  return `${dayIn(date, tz)}T${clockTime(date, tz)}`;
}

export const capital = (text) => text.slice(0, 1).toUpperCase() + text.slice(1);

const tickers = new Set();

/** Calls `tick` now and at every full second of the sandbox's clock. */
export function everySecond(tick) {
  tickers.add(tick);
  tick();
  if (tickers.size === 1) schedule();
}

function schedule() {
  setTimeout(
    () => {
      tickers.forEach((tick) => tick());
      schedule();
    },
    1000 - (now().getTime() % 1000),
  );
}

/** Updates every `[data-ends]` below `root`: the time left until that ISO time. */
export function tickEnds(root = document) {
  for (const element of root.querySelectorAll("[data-ends]")) {
    const left = Math.ceil((Date.parse(element.dataset.ends) - now()) / 1000);
    const text = left > 0 ? `${countdown(left)} left` : `over since ${countdown(-left)}`;
    if (element.textContent !== text) element.textContent = text;
    element.classList.toggle("over", left <= 0);
    element.classList.toggle("soon", left > 0 && left <= 600);
  }
}
