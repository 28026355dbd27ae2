// Hearing of changes. However many windows are open, one of them holds the event streams and tells
// the others: a browser opens only six connections to one server.

const STREAMS = ["/sandbox/events", "/sandbox/panel-events"];
const AGAIN_MS = 2000;
const TOGETHER_MS = 15;

/** Calls `heard({kind, path})` at each change; kind "down" and "up" as a stream goes and comes. */
export function follow(heard) {
  const others = new BroadcastChannel("eks-access-sandbox");
  others.addEventListener("message", (event) => heard(event.data));
  const tell = (news) => {
    heard(news);
    others.postMessage(news);
  };
  const hold = () => new Promise(() => STREAMS.forEach((path) => open(path, tell)));
  if (navigator.locks) navigator.locks.request("eks-access-sandbox", hold);
  else hold();
}

function open(path, tell, wasDown = false) {
  const source = new EventSource(path);
  let down = wasDown;
  source.addEventListener("open", () => {
    if (down) tell({ kind: "up", path });
    down = false;
  });
  source.addEventListener("message", (event) => {
    const { kind } = JSON.parse(event.data);
    tell({ kind, path });
  });
  source.addEventListener("error", () => {
    if (!down) tell({ kind: "down", path });
    down = true;
    if (source.readyState === EventSource.CLOSED)
      setTimeout(() => open(path, tell, true), AGAIN_MS);
  });
}

/** Runs `work` once for any number of calls that come while it runs or waits to run. */
export function coalesced(work) {
  let wanted = false;
  let running = false;
  return async function run() {
    wanted = true;
    if (running) return;
    running = true;
    try {
      while (wanted) {
        wanted = false;
        await new Promise((soon) => setTimeout(soon, TOGETHER_MS));
        await work();
      }
    } finally {
      running = false;
    }
  };
}
