// SPDX-License-Identifier: MIT
// What happens, as it happens: a WebSocket, or server-sent events where something on the way does not let that pass.
// feed.start({event, state}): event(object) for each, "hello" included; state("live" | "connecting" | "offline").
import {query} from "./api.js";

const WAIT_MS = [250, 500, 1000, 2000, 4000, 8000];
const SILENCE_MS = 45000; // the warden speaks every 15 s, but pings are not seen here: asked for by a call, see below

let say, since = null, tries = 0, socketFailed = 0, current = null, timer = 0;

function heard(data) {
  let e;
  try {
    e = JSON.parse(data);
  } catch {
    return;
  }
  since = e.id || since;
  if (e.event === "hello") {
    tries = 0;
    socketFailed = 0;
    say.state("live");
  }
  say.event(e);
}

function again() {
  if (!current) return;
  current.close();
  current = null;
  say.state(tries > 1 ? "offline" : "connecting");
  clearTimeout(timer);
  timer = setTimeout(open, WAIT_MS[Math.min(tries++, WAIT_MS.length - 1)]);
}

function open() {
  clearTimeout(timer);
  const q = query({since});
  if (socketFailed < 2 && typeof WebSocket === "function") {
    let opened = false;
    const s = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/api/ws${q}`);
    current = s;
    s.onopen = () => { opened = true; };
    s.onmessage = (m) => heard(m.data);
    s.onclose = () => {
      if (current !== s) return;
      if (!opened) socketFailed++;
      again();
      if (!opened) check();
    };
    return;
  }
  const s = new EventSource(`/api/events${q}`);
  current = s;
  for (const name of ["hello", "queued", "answered", "withdrawn", "expired", "decided", "started", "ended", "policy", "paused", "resumed", "killed"])
    s.addEventListener(name, (m) => heard(m.data));
  s.onerror = () => {
    if (current !== s) return;
    socketFailed = 0;
    again();
    check();
  };
}

// A socket does not say why it was refused; a call does, and leads to the login.
function check() {
  fetch("/api/session", {credentials: "same-origin"}).then((a) => {
    if (a.status === 401) say.gone();
    if (a.status === 400) since = null;
  }).catch(() => {});
}

export function start(listener) {
  say = listener;
  say.state("connecting");
  open();
  addEventListener("online", () => { tries = 0; again(); });
  // A phone that slept has a socket that only looks alive.
  let hiddenAt = 0;
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) hiddenAt = Date.now();
    else if (hiddenAt && Date.now() - hiddenAt > SILENCE_MS) { tries = 0; again(); }
  });
}
