// SPDX-License-Identifier: MIT
// What the pages share: who is here, what waits, what runs. Kept right by the feed; a page asks to be told of changes.
import {get, query} from "./api.js";

export const me = {who: "", role: "viewer"};
const ROLES = ["viewer", "approver", "operator", "admin"];
export const may = (role) => ROLES.indexOf(me.role) >= ROLES.indexOf(role);

// id -> {r: the request, place: its number in the queue, due: ms of performance.now() or null, since, shownAt, over: null or {kind, words, at}}
export const waiting = new Map();
export const running = new Map(); // id -> {r, startedAt: Date ms}
const gone = new Set(); // ids of `waiting` that are over, the oldest end first
export const link = {state: "connecting", loaded: false, error: null};

const listeners = new Set();
const told = new Set();
let scheduled = false, news = [], notBefore = 0;

export function on(fn) {
  listeners.add(fn);
  return () => listeners.delete(fn);
}

// Many events between two frames are one drawing; what takes long to draw is drawn less often, so that half of the time
// is left for fingers. Listeners are told what has changed, and of the requests that the feed brought since the last time.
export function changed(kind) {
  told.add(kind);
  if (scheduled) return;
  scheduled = true;
  const run = () => {
    const begin = performance.now();
    scheduled = false;
    const kinds = new Set(told), came = news;
    told.clear();
    news = [];
    for (const fn of listeners) fn(kinds, came);
    notBefore = 2 * performance.now() - begin;
  };
  const wait = Math.min(100, notBefore - performance.now());
  if (document.hidden) setTimeout(run, 50);
  else if (wait > 16) setTimeout(() => requestAnimationFrame(run), wait);
  else requestAnimationFrame(run);
}

export const waitingCount = () => waiting.size - gone.size;

// A place of its own for each in the order in which this page heard of them, which is not quite that of the ids: a card
// that is on the screen must not be pushed down by an older one that was longer on its way.
let places = 0;
function put(id, w) {
  const old = waiting.get(id);
  w.place = old ? old.place : ++places;
  gone.delete(id);
  waiting.set(id, w);
}

function entry(r) {
  const now = performance.now();
  return {r, since: now - (r.age_ms || 0), due: r.deadline_ms === null || r.deadline_ms === undefined || r.paused ? null : now + r.deadline_ms, shownAt: 0, over: null};
}

function by(r) {
  return r.approver ? `by ${r.approver}${r.comment ? `: “${r.comment}”` : ""}` : "";
}

// Why a request waits no more, in the words of an event of the feed.
function endWords(e) {
  const r = e.request;
  switch (e.event) {
    case "answered": return {kind: r.decision === "ask-approved" ? "approved" : "denied", words: `${r.decision === "ask-approved" ? "Approved" : "Denied"} ${by(r)}`.trim()};
    case "expired": return {kind: "expired", words: "Expired: nobody answered in time"};
    case "withdrawn": return {kind: "withdrawn", words: "Withdrawn: the caller has gone"};
    case "decided": return {kind: r.decision === "allow" ? "approved" : "denied", words: `Decided without a person: ${r.reason || r.error || r.decision || "by the policy"}`};
    case "started": return {kind: "approved", words: "Runs"};
    case "ended": return {kind: "approved", words: "Has run"};
    default: return {kind: "withdrawn", words: "Waits no more"};
  }
}

const RETRY_MS = 2000;
const PART = 500;
const OVER_KEPT = 200;
function over(id, how) {
  const w = waiting.get(id);
  if (!w || w.over) return;
  w.over = {...how, at: performance.now()};
  gone.add(id);
  // What was never shown has nothing to say.
  const first = w.shownAt ? gone.values().next().value : id;
  if (!w.shownAt || gone.size > OVER_KEPT) {
    gone.delete(first);
    waiting.delete(first);
  }
}

export function clearOver() {
  for (const id of gone) waiting.delete(id);
  gone.clear();
  changed("queue");
}

// ---- the feed ----

let arrivals = null; // while a list is on its way: what the feed said meanwhile

export function heard(e) {
  if (e.event === "hello") return void load();
  const r = e.request;
  if (!r) {
    if (e.event === "paused" || e.event === "resumed") load(); // deadlines have moved
    return changed(e.event);
  }
  if (arrivals) arrivals.push(e);
  apply(e);
}

function apply(e) {
  const r = e.request;
  if (e.event === "queued") {
    const old = waiting.get(r.id);
    // Judged again, with another digest, is another thing to look at.
    if (!old || old.over || old.r.digest !== r.digest) put(r.id, entry(r));
    if (!old) news.push(r);
    return changed("queue");
  }
  over(r.id, endWords(e));
  if (e.event === "started") running.set(r.id, {r, startedAt: Date.parse(e.time)});
  if (e.event === "ended") running.delete(r.id);
  changed("queue");
  if (e.event === "started" || e.event === "ended") changed("running");
  changed("happened");
}

// A long list in parts, so that none of them holds the page up.
async function pages(path) {
  const all = [];
  for (;;) {
    const part = await get(path + query({limit: PART, cursor: all.length ? all[all.length - 1].id : ""}));
    all.push(...part);
    if (part.length < PART) return all;
  }
}

// The whole truth, at the start and after each gap. Answered or gone meanwhile: the feed knows better.
export async function load() {
  const late = arrivals = [];
  try {
    const [queue, runs] = await Promise.all([pages("/api/queue"), get("/api/running?limit=1000")]);
    if (late !== arrivals) return; // a newer one is on its way
    const there = new Set(queue.map((r) => r.id));
    for (const r of queue) {
      const old = waiting.get(r.id);
      const fresh = entry(r);
      if (old && !old.over && old.r.digest === r.digest) fresh.shownAt = old.shownAt;
      put(r.id, fresh);
    }
    for (const id of waiting.keys()) if (!there.has(id)) over(id, {kind: "withdrawn", words: "Waits no more: it ended while this page was not connected"});
    running.clear();
    for (const r of runs) running.set(r.id, {r, startedAt: r.started_at ? Date.parse(r.started_at) : Date.now()});
    link.error = null;
    link.loaded = true;
    arrivals = null;
    for (const e of late) {
      if (e.event === "queued" && waiting.has(e.request.id)) {
        waiting.get(e.request.id).over = null;
        gone.delete(e.request.id);
      }
      apply(e);
    }
  } catch (e) {
    link.error = e;
    if (late === arrivals) {
      arrivals = null;
      if (e.status !== 401) setTimeout(load, RETRY_MS);
    }
  }
  changed("queue");
  changed("running");
}
