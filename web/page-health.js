// SPDX-License-Identifier: MIT
// How the warden is: figures now, and charts of what was seen since this page was opened.
import {get} from "./api.js";
import {makeChart} from "./chart.js";
import {fill, h} from "./dom.js";
import {head, loading, refused} from "./states.js";
import {span} from "./time.js";

const EVERY_MS = 2000;
const KEPT = 900; // points: half an hour

const total = (o) => Object.values(o).reduce((a, b) => a + b, 0);
const us = (v) => v === null || v === undefined ? "–" : v < 1000 ? `${v} µs` : v < 1e6 ? `${(v / 1000).toFixed(1)} ms` : `${(v / 1e6).toFixed(1)} s`;
const bytes = (n) => n < 1 << 20 ? `${(n / 1024).toFixed(0)} KiB` : `${(n / (1 << 20)).toFixed(1)} MiB`;
const stat = (value, label) => h("div", {class: "stat"}, h("b", null, value), h("span", null, label));

function figuresNow(f, s) {
  const approvers = f.times.approved.count + f.times.denied.count;
  const lost = f.times.expired.count;
  return h("div", {class: "stats"}, stat(s.ready ? "Ready" : "Not ready", s.ready ? `version ${s.version}, for ${span(s.uptime_s * 1000)}` : Object.entries(s.not_ready).map(([k, v]) => `${k}: ${v}`).join("; ")),
    stat(String(s.waiting), "wait for a person"), stat(String(s.running + s.starting), "run"), stat(us(f.times.decision.p99_us), "99 % of decisions within"), stat(us(f.times.approved.p50_us), "half of the approvals within"),
    stat(approvers + lost ? `${Math.round(100 * lost / (approvers + lost))} %` : "–", "of the asked expired"), stat(approvers ? `${Math.round(100 * f.quick_answers / approvers)} %` : "–", "answered in under 2 s: were they read?"),
    stat(String(total(f.errors)), "errors since the start"), stat(bytes(f.process.resident_bytes), "memory"), stat(bytes(f.audit.file_bytes), "audit log"), stat(s.index_working ? s.index_behind ? "Behind" : "Working" : "Down", "history index"), stat(String(f.listeners), "listen to the feed"));
}

// What is kept over pages: an hour of looking elsewhere is a gap, not a lie.
const seen = {t: [], allowed: [], denied: [], asked: [], waiting: [], running: [], p50: [], p99: [], approve: [], memory: []};
let before = null;

function note(f, s) {
  const t = Date.now() / 1000;
  const d = f.decided;
  const now = {t, allowed: d.allow || 0, denied: (d.deny || 0) + (d.limited || 0), asked: f.asks || 0, up: s.started_at};
  const same = before && before.up === now.up && t > before.t && t - before.t < 30;
  const rate = (k) => same ? Math.max(0, (now[k] - before[k]) / (t - before.t)) : null;
  const ms = (v) => v === null || v === undefined ? null : v / 1000;
  const point = {t, allowed: rate("allowed"), denied: rate("denied"), asked: rate("asked"), waiting: s.waiting, running: s.running, p50: ms(f.times.decision.p50_us), p99: ms(f.times.decision.p99_us), approve: ms(f.times.approved.p50_us) === null ? null : ms(f.times.approved.p50_us) / 1000, memory: f.process.resident_bytes / (1 << 20)};
  for (const [k, v] of Object.entries(point)) {
    seen[k].push(v);
    if (seen[k].length > KEPT) seen[k].shift();
  }
  before = now;
}

export function open(main) {
  const now = h("div", null, loading());
  const box = h("div", {class: "charts"});
  fill(main, head("Health", "Figures are since the warden started; charts are since you opened this page, a point every two seconds."), now, box);
  const charts = [
    makeChart(box, "Decisions a second", seen, [["allowed", "allowed", "--ok"], ["denied", "denied", "--bad"], ["asked", "asked", "--warn"]]),
    makeChart(box, "Queue and running", seen, [["waiting", "waiting", "--warn"], ["running", "running", "--accent"]]),
    makeChart(box, "Time to a decision, ms", seen, [["p50", "half within", "--accent"], ["p99", "99 % within", "--path"]]),
    makeChart(box, "Approvers: half answered within, s", seen, [["approve", "seconds", "--str"]]),
    makeChart(box, "Memory, MiB", seen, [["memory", "resident", "--path"]]),
  ];
  let gone = false;
  async function load() {
    try {
      const [f, s] = await Promise.all([get("/api/figures"), get("/api/status")]);
      if (gone) return;
      note(f, s);
      fill(now, figuresNow(f, s));
      for (const c of charts) c.draw();
    } catch (e) {
      if (!gone) fill(now, refused(e, load));
    }
  }
  load();
  const timer = setInterval(() => { if (!document.hidden) load(); }, EVERY_MS);
  return () => {
    gone = true;
    clearInterval(timer);
    for (const c of charts) c.end();
  };
}
