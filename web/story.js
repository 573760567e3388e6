// SPDX-License-Identifier: MIT
// One request from its first moment to its end, in order.
import {name} from "./command.js";
import {h} from "./dom.js";
import {clock, idTime, short} from "./time.js";

const DECIDED = {allow: "Allowed by the policy", deny: "Denied by the policy", "ask-approved": "Approved", "ask-denied": "Denied", "ask-expired": "Expired: nobody answered in time", withdrawn: "Withdrawn: the caller went",
  limited: "Refused: a limit was reached", error: "Could not be decided or run", interrupted: "Interrupted: the warden stopped"};

const step = (time, tone, ...words) => h("li", {class: tone}, h("time", {datetime: time}, clock(time)), words);

export function story(r) {
  const came = idTime(r.id).toISOString();
  const steps = [step(came, "", "Asked by uid ", String(r.uid), `, pid ${r.pid}, `, r.container ? ["in ", name(r.container)] : "on the host", ", at the door ", r.door, "; in ", h("code", null, name(r.cwd ?? "a directory not found out")))];
  steps.push(step(came, "", "The policy said ", h("b", null, r.verdict || "nothing"), r.rule ? [" by the rule ", h("b", null, name(r.rule))] : "", r.reason ? [": ", name(r.reason)] : ""));
  const good = r.decision === "allow" || r.decision === "ask-approved";
  steps.push(step(r.time, good ? "ok" : "bad", h("b", null, DECIDED[r.decision] || r.decision), r.approver ? [" by ", name(r.approver), r.channel ? ` (${r.channel})` : ""] : "", r.waited_ms ? ` after ${short(r.waited_ms)} of waiting` : "",
    r.comment ? [": “", name(r.comment), "”"] : ""));
  if (r.error) steps.push(step(r.end_time || r.time, "bad", "Error: ", name(r.error)));
  if (r.end_time) steps.push(step(r.end_time, r.exit_code === 0 ? "ok" : "bad", r.signal ? `Ended by signal ${r.signal}` : r.exit_code === null ? "Ended" : `Ended with exit code ${r.exit_code}`, r.duration_ms === null ? "" : ` after ${short(r.duration_ms)}`,
    r.timeout_violation ? "; it ran out of its time" : "", r.killed_by ? ["; killed by ", name(r.killed_by)] : "", r.executor ? `; run by ${r.executor}` : ""));
  return h("div", null, h("ol", {class: "timeline"}, steps),
    h("p", {class: "help"}, "Request ", h("code", null, r.id), r.executable ? [" · program ", h("code", null, name(typeof r.executable === "object" && r.executable.path ? r.executable.path : r.executable))] : ""));
}
