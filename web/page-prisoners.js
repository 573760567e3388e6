// SPDX-License-Identifier: MIT
// Who is governed, what each does, and the switches: pause, resume, kill.
import {get, post} from "./api.js";
import {typed} from "./act.js";
import {name, plainText} from "./command.js";
import {fill, h} from "./dom.js";
import {may, on} from "./state.js";
import {head, loading, refused} from "./states.js";
import {makeTable} from "./table.js";
import {clock} from "./time.js";
import {failed, toast} from "./toast.js";

const EVERY_MS = 5000;
const TIMES = [["", "until somebody resumes it"], ["5m", "for 5 minutes"], ["15m", "for 15 minutes"], ["1h", "for an hour"], ["8h", "for 8 hours"]];
const sum = (decided, names) => names.reduce((n, d) => n + (decided[d] || 0), 0);

async function order(what, target, label) {
  const words = {pause: "Nothing of it is started, and what runs is stopped where it is.", kill: "All that it waits for is denied, and all that runs is ended. This cannot be taken back.", resume: "It goes on from where it was."}[what];
  const fields = [h("label", null, "Reason, for the records", h("input", {name: "reason", maxlength: "250", autocomplete: "off"}))];
  if (what === "pause") fields.push(h("label", null, "It stays paused", h("select", {name: "resume_after"}, TIMES.map(([v, t]) => h("option", {value: v}, t)))));
  const title = `${what[0].toUpperCase()}${what.slice(1)} ${label}`;
  const given = await typed({title, words, word: what === "resume" ? null : label, action: title, fields});
  if (!given) return;
  const body = {...target};
  if (given.reason && what !== "resume") body.reason = given.reason;
  if (given.resume_after) body.resume_after = given.resume_after;
  try {
    const said = await post(`/api/${what}`, body);
    toast(said.failed ? `Done in part: ${said.failed} could not be reached. ${said.message || ""}` : `Done: ${title.toLowerCase()}.`, said.failed ? "bad" : "info");
  } catch (e) {
    failed(e);
  }
}

function switches(target, label, paused) {
  if (!may("operator")) return null;
  return h("div", {class: "row"}, paused ? h("button", {class: "btn", onclick: () => order("resume", target, label)}, "Resume") : h("button", {class: "btn", onclick: () => order("pause", target, label)}, "Pause"),
    h("button", {class: "btn danger", onclick: () => order("kill", target, label)}, "Kill"));
}

// A warden of `clawrden run` governs this session and nothing else: what would be the host's is its.
function row(t, c, {paused: pauses, session}) {
  const host = c.container === null;
  const other = plainText(c.container) === "(other)";
  const own = host && session;
  const label = own ? session : plainText(c.container);
  const pause = pauses.find((p) => own ? p.scope === "all" : p.scope === "container" && (p.id === c.id || p.container === c.container));
  const target = own ? {all: true} : {container: c.id && !c.id.startsWith("door:") ? c.id : plainText(c.container)};
  return t.row([own ? session : host ? "the host" : name(c.container), own ? h("div", {class: "help"}, "session of clawrden run") : c.id ? h("div", {class: "help mono"}, c.id.slice(0, 24)) : null],
    [c.paused ? h("span", {class: "tag warn"}, "paused") : h("span", {class: "tag ok"}, "active"), pause ? h("div", {class: "help"}, "by ", name(pause.by), pause.reason ? [": ", name(pause.reason)] : "", pause.until ? `; goes on at ${clock(pause.until)}` : "") : null],
    c.waiting ? h("a", {href: `#/queue?container=${encodeURIComponent(host ? "the host" : plainText(c.container))}`}, String(c.waiting)) : "0", String(c.running + c.starting),
    String(sum(c.decided, ["allow", "ask-approved"])), String(sum(c.decided, ["deny", "ask-denied", "ask-expired", "limited"])), (host && !own) || other ? null : switches(target, label, c.paused));
}

export function open(main) {
  const box = h("div", null, loading());
  const all = h("div", {class: "row"});
  fill(main, head("Prisoners", "Containers and sessions that are governed here. Pausing stops what runs where it is; killing ends it.", all), box);
  let gone = false;
  async function load() {
    try {
      const [list, status] = await Promise.all([get("/api/containers"), get("/api/status")]);
      if (gone || document.querySelector("dialog[open]")) return;
      if (box.dataset.last === JSON.stringify([list, status.paused, status.session])) return;
      box.dataset.last = JSON.stringify([list, status.paused, status.session]);
      const everything = !status.session && status.paused.find((p) => p.scope === "all");
      fill(all, status.session ? null : switches({all: true}, "everything", !!everything));
      list.sort((a, b) => (a.container === null) - (b.container === null) || plainText(a.container).localeCompare(plainText(b.container)));
      const t = makeTable("Prisoners", [["Prisoner"], ["State"], ["Waiting", "num"], ["Running", "num"], ["Allowed", "num"], ["Denied", "num"], [""]], true);
      t.body.append(...list.map((c) => row(t, c, status)));
      fill(box, everything ? h("p", {class: "panel"}, h("b", null, "Everything is paused"), " by ", name(everything.by), everything.reason ? [": ", name(everything.reason)] : "", everything.until ? `; goes on at ${clock(everything.until)}` : "") : null,
        t.element,
        list.length < 2 && !status.session ? h("p", {class: "help"}, "A container appears here when a warden's socket is mounted into it. A session of clawrden run has a dashboard of its own: start it with --api 127.0.0.1:0.") : null);
    } catch (e) {
      if (!gone) fill(box, refused(e, load));
      delete box.dataset.last;
    }
  }
  load();
  const timer = setInterval(() => { if (!document.hidden) load(); }, EVERY_MS);
  const off = on((kinds) => { if (["paused", "resumed", "killed"].some((k) => kinds.has(k))) load(); });
  return () => { gone = true; clearInterval(timer); off(); };
}
