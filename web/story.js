// SPDX-License-Identifier: MIT
// One request from its first moment to its end, in order, as /api/history/{id} tells it; it may still wait or run.
import {get} from "./api.js";
import {ALL, line, name, ROW} from "./command.js";
import {fill, h} from "./dom.js";
import {loading, refused} from "./states.js";
import {clock, short} from "./time.js";

const WORDS = {asked: "Asked", waiting: "Waits for a person", seen: "Read in full", explained: "Asked why it waits", allowed: "Allowed by the policy", denied: "Denied", approved: "Approved", expired: "Expired: nobody answered in time",
  withdrawn: "Withdrawn: the caller went", limited: "Refused: a limit was reached", failed: "Could not be decided or run", paused: "Paused", resumed: "Resumed", killed: "Killed", started: "Started", ended: "Ended", interrupted: "Interrupted: the warden stopped"};
const GOOD = new Set(["allowed", "approved", "started"]);
const BAD = new Set(["denied", "expired", "limited", "failed", "killed", "interrupted"]);

const toneOf = (e) => GOOD.has(e.event) || (e.event === "ended" && e.exit_code === 0) ? "ok" : BAD.has(e.event) || e.event === "ended" ? "bad" : "";

function how(e) {
  const said = [];
  if (e.exit_code !== undefined && e.exit_code !== null) said.push(` with exit code ${e.exit_code}`);
  if (e.signal !== undefined && e.signal !== null) said.push(e.event === "ended" ? ` by signal ${e.signal}` : ` with ${e.signal}`);
  if (e.duration_ms !== undefined && e.duration_ms !== null) said.push(` after ${short(e.duration_ms)}`);
  if (e.timeout_violation) said.push("; it ran out of its time");
  if (e.scope && e.scope !== "request") said.push(e.scope === "all" ? ", with everything" : [", with all of ", name(e.container)]);
  if (e.until) said.push(`, until ${clock(e.until)}`);
  return said;
}

const step = (e) => h("li", {class: toneOf(e)}, h("time", {datetime: e.time, title: e.time}, clock(e.time)), h("b", null, e.event === "denied" && !e.by ? "Denied by the policy" : WORDS[e.event] || e.event), how(e), e.by ? [" by ", name(e.by)] : "", e.channel ? ` (${e.channel})` : "",
  e.rule ? [", rule ", name(e.rule)] : "", e.words ? [": “", name(e.words), "”"] : "", e.error ? h("span", {class: "tag bad"}, name(e.error)) : "");

function tell(s) {
  const r = s.request || s.live || {};
  const program = r.executable && typeof r.executable === "object" && r.executable.path ? r.executable.path : r.executable;
  return [s.live ? h("p", {class: "help"}, "Now: ", h("b", null, s.state)) : null, h("ol", {class: "timeline", "aria-label": "The story of this request"}, s.timeline.map(step)), s.request && line(r, ROW).whole ? null : line(r, ALL), // the row above has it else
   
    h("p", {class: "help"}, "Request ", h("code", null, s.id), r.uid === undefined ? "" : ` · uid ${r.uid}, pid ${r.pid}`, " · in ", h("code", null, name(r.cwd ?? "a directory not found out")), program ? [" · program ", h("code", null, name(program))] : "", s.shortened ? " · long values are shortened here" : "")];
}

export function story(id) {
  const box = h("div", null, loading());
  const load = () => get(`/api/history/${encodeURIComponent(id)}`).then((s) => fill(box, tell(s)), (e) => fill(box, refused(e, load)));
  load();
  return box;
}
