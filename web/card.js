// SPDX-License-Identifier: MIT
// One card of the queue: what would run, who asks and why it waits, how long still, and the two buttons.
import {twice} from "./act.js";
import {get} from "./api.js";
import {ALL, CARD, line, name, visible} from "./command.js";
import {why as dangerOf} from "./danger.js";
import {fill, h, text} from "./dom.js";
import {may} from "./state.js";
import {clock, short, span} from "./time.js";
import {failed, toast} from "./toast.js";

const fact = (label, ...value) => [h("dt", null, label), h("dd", null, value)];

function trustOf(r) {
  if (r.trust === "unknown") return h("span", {class: "tag bad"}, `not known${r.why_unknown ? `: ${r.why_unknown}` : ""}`);
  if (r.trust === "not-found") return h("span", {class: "tag warn"}, "not found");
  return r.trust ? h("span", {class: "tag ok"}, "known program") : null;
}

function facts(r) {
  return h("dl", {class: "facts"},
    r.executable ? fact("Program", h("code", null, name(r.executable)), " ", trustOf(r)) : r.trust ? fact("Program", trustOf(r)) : null,
    r.script ? fact("Script", h("code", null, name(typeof r.script === "object" && r.script.path ? r.script.path : r.script))) : null,
    r.cwd === undefined ? null : fact("Directory", h("code", null, r.cwd === null ? "not found out" : name(r.cwd))),
    fact("Who", r.container === undefined ? null : r.container ? [h("span", {class: "tag"}, name(r.container)), " "] : "the host, ", `uid ${r.uid}, pid ${r.pid}`, r.parent ? [" of ", name(r.parent)] : null),
    fact("Why", r.rule ? ["rule ", h("b", null, name(r.rule))] : "no rule", r.line ? ` (line ${r.line})` : "", r.reason ? [": ", name(r.reason)] : null));
}

function details(r) {
  const rows = [["Request", r.id], ["Called by", r.door], ["Runs by", r.executor], ["Time limit", r.timeout], ["Policy", r.policy], ["Bound to", r.digest], ["Received", r.received_at]];
  return h("details", null, h("summary", null, "Details"),
    h("dl", {class: "facts"}, rows.filter(([, v]) => v).map(([k, v]) => fact(k, h("code", null, String(v)))),
      r.env_passed ? fact("Environment", h("code", null, name(r.env_passed.join(" ")))) : null,
      r.paths && r.paths.length ? fact("Paths", r.paths.map((p) => h("div", null, h("code", null, name(p.arg), " → ", name(p.resolved))))) : null),
    h("p", {class: "row"}, may("approver") ? h("a", {href: `#/policy?id=${r.id}`}, "Explain") : null,
      h("button", {class: "btn quiet", onclick: () => navigator.clipboard.writeText(r.command_line || "").then(() => toast("Copied, quoted for a shell."), () => toast("The browser does not let this page copy.", "bad"))}, "Copy the command")));
}

export function makeCard(group, answer) {
  const r = group[0].r;
  const danger = dangerOf(r);
  const count = h("span", {class: "count", hidden: true});
  const age = h("span", {class: "age"});
  const due = h("span", {class: "due"});
  const bar = h("progress", {class: "bar", max: "1", value: "1", "aria-hidden": "true"});
  const end = h("p", {class: "end", role: "status"});
  const said = h("p", {class: "said", role: "alert", hidden: true});
  const comment = h("input", {class: "comment", maxlength: "1000", placeholder: "Comment, read by the agent", "aria-label": "Comment, read by the agent", autocomplete: "off"});
  const approve = h("button", {class: "btn approve"}, "Approve");
  const deny = h("button", {class: "btn deny"}, "Deny");
  const all = h("button", {class: "btn quiet"}, "Show all");
  // `whole`: all that an answer is bound to can be read on this card.
  const card = {group, element: null, danger, isOver: false, whole: false};
  if (danger) twice(approve, "Approve: sure?", () => answer(card, "approve", comment.value.trim()));
  else approve.addEventListener("click", () => answer(card, "approve", comment.value.trim()));
  deny.addEventListener("click", () => answer(card, "deny", comment.value.trim()));
  const act = may("approver") ? h("div", {class: "act"}, comment, h("div", {class: "pair"}, deny, approve)) : h("p", {class: "help"}, "Answering needs the role approver.");
  const title = h("h2", {class: "sr"}, "Request: ", name(r.command));
  const tag = danger ? h("span", {class: "tag bad"}, `Careful: ${danger}`) : null;
  const box = h("div", {class: "cmd-box", tabindex: "0", role: "region", "aria-label": "The command"});
  const rest = h("p", {class: "help"});
  const about = h("div");
  card.element = h("li", {class: "card" + (danger ? " dangerous" : ""), tabindex: "-1"}, title,
    h("div", {class: "card-top"}, count, tag, age, due), bar, box, rest, about, said, h("div", {class: "foot"}, act, end));

  // Of a request, as far as `most` (command.js).
  function tell(r, most) {
    const command = line(r, most);
    card.whole = command.whole;
    rest.hidden = card.whole;
    fill(rest, r.shortened && !may("approver") ? "Reading all of it needs the role approver." : most !== ALL ? all : ["Too long for a page: ", h("code", null, `clawrden queue ${r.id}`), " shows it, and ", h("code", null, "clawrden approve"), " answers."]);
    fill(box, command);
    fill(about, facts(r), details(r));
    if (tag) text(tag, `Careful: ${dangerOf(r) || "it was too long for one look"}`);
  }
  all.addEventListener("click", async () => {
    all.disabled = true;
    try {
      const full = await get(`/api/queue/${card.group.find((w) => !w.over).r.id}`);
      if (full.digest !== r.digest) return card.say("It is judged anew: look at its new card.");
      tell(full, ALL);
      for (const w of card.group) if (w.shownAt) w.shownAt = performance.now(); // nobody has read it yet
      box.focus();
    } catch (e) {
      failed(e);
    }
    all.disabled = false;
  });
  tell(r, CARD);
  const total = group[0].due === null ? 0 : group[0].due - group[0].since;
  let out = false; // another's answer is under way

  card.approve = () => approve.click();
  card.deny = () => deny.click();
  card.all = () => all.click();
  card.comment = () => comment.focus();
  card.busy = (yes) => {
    out = yes;
    card.element.classList.toggle("busy", yes);
    card.tick();
  };
  card.say = (words) => {
    said.hidden = false;
    text(said, words);
  };
  card.update = (g) => {
    card.group = g;
    count.hidden = g.length < 2;
    text(count, `${g.length} identical`);
    const over = g.every((w) => w.over) ? g[g.length - 1].over : null;
    if (over && !card.isOver) {
      card.isOver = true;
      card.element.classList.add("over", over.kind);
      fill(end, h("b", null, over.words), ` · ${clock(new Date())}`);
      approve.disabled = deny.disabled = comment.disabled = true;
    }
    card.tick();
  };
  card.tick = () => {
    const now = performance.now();
    const open = card.group.filter((w) => !w.over);
    if (!open.length) {
      text(age, "");
      text(due, "");
      bar.value = 0;
      return;
    }
    text(age, `${short(Math.floor((now - open[0].since) / 1000) * 1000).replace(".0", "").replace(/^0 ms$/, "just now")}${now - open[0].since < 1000 ? "" : " ago"}`);
    const soonest = Math.min(...open.map((w) => w.due === null ? Infinity : w.due));
    const left = soonest - now;
    const late = left <= 0;
    text(due, soonest === Infinity ? (open[0].r.paused ? "paused: no deadline" : "") : late ? "deadline passed" : `${span(left)} left`);
    due.classList.toggle("soon", left < 30000);
    bar.value = soonest === Infinity || !total ? 1 : Math.max(0, Math.min(1, left / total));
    approve.disabled = deny.disabled = out || late;
  };
  return card;
}
