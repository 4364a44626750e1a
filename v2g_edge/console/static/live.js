// The live picture of the depot, and how old it is.

const LATE_MS = 5000; // five pictures: shorter is a busy network, longer is no picture of now
const STANDS_MS = 10000; // the daemon answers, and its ticks stand

let source = null;
let seenMs = 0;
let movedMs = 0;
let seq = null;
let reason = "";

export let status = null;

let hooks = null;
let wanted = false;

export function start(given) {
  hooks = given;
  document.addEventListener("visibilitychange", open);
  setInterval(hooks.onState, 1000);
}

export function resume() {
  wanted = true;
  open();
}

export function stop() {
  wanted = false;
  source?.close();
  source = null;
  status = null;
  reason = "";
}

function open() {
  source?.close();
  source = null;
  if (document.hidden || !wanted) return;
  const here = new EventSource("/api/live");
  source = here;
  here.addEventListener("status", (event) => {
    status = JSON.parse(event.data);
    seenMs = performance.now();
    if (status.seq !== seq) movedMs = seenMs;
    seq = status.seq;
    reason = "";
    hooks.onPicture();
    hooks.onState();
  });
  here.addEventListener("down", (event) => {
    reason = JSON.parse(event.data).text;
    hooks.onState();
  });
  here.addEventListener("error", () => {
    hooks.onState();
    if (here.readyState === EventSource.CLOSED && here === source) hooks.onRefused(() => setTimeout(open, LATE_MS));
  });
}

// null while the picture is fresh; else why it is not, and the age of what is shown in seconds.
export function staleness() {
  const now = performance.now();
  const ageS = status ? Math.round((now - seenMs) / 1000) : null;
  if (reason) return { key: "stale.down", reason, ageS };
  if (status && now - seenMs > LATE_MS) return { key: "stale.lost", reason: "", ageS };
  if (status && now - movedMs > STANDS_MS) return { key: "stale.stands", reason: "", ageS: Math.round((now - movedMs) / 1000) };
  return null;
}
