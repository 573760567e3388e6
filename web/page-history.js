// SPDX-License-Identifier: MIT
// What was: filters that live in the address, pages, export, and each request's whole story.
import {get, query} from "./api.js";
import {line, name, ROW} from "./command.js";
import {fill, h} from "./dom.js";
import {empty, head, loading, refused} from "./states.js";
import {story} from "./story.js";
import {makeTable} from "./table.js";
import {clock, short} from "./time.js";

const PAGE = 50;
const KEPT = 200; // rows in the page at a time, however many are asked for
const DECISIONS = ["allow", "deny", "ask-approved", "ask-denied", "ask-expired", "withdrawn", "limited", "error", "interrupted"];
const FIELDS = [["text", "Words in the command", "push origin"], ["command", "Command", "git"], ["decision", "Decision", null], ["container", "Container", ""], ["rule", "Rule", ""], ["approver", "Approver", ""], ["uid", "Uid", ""],
  ["exit_code", "Exit code", ""], ["signal", "Signal", ""], ["arg", "An argument is", ""], ["since", "Since", "2026-01-31T08:15:00Z"], ["until", "Until", "2026-01-31T18:00:00Z"], ["id", "Request", ""]];
const FIRST = 3; // the others are behind "More filters"

const toneOf = (d) => d === "allow" || d === "ask-approved" ? "ok" : d === "deny" || d === "ask-denied" || d === "error" ? "bad" : "warn";

function outcome(r) {
  if (r.timeout_violation) return "out of time";
  if (r.signal) return `signal ${r.signal}`;
  return r.exit_code === null || r.exit_code === undefined ? "" : `exit ${r.exit_code}`;
}

export function open(main, params) {
  const values = Object.fromEntries(FIELDS.map(([k]) => [k, params.get(k) || ""]));
  const {element: table, body, row: cells} = makeTable("History", [["When", "tight"], ["Command"], ["Where"], ["Decision", "tight"], ["By"], ["End", "tight"], ["Ran", "num tight"]]);
  table.hidden = true;
  const note = h("div", null, loading());
  const more = h("button", {class: "btn", hidden: true}, "Show older");
  const newest = h("button", {class: "btn", hidden: true, onclick: () => { start(); scrollTo(0, 0); }}, "Back to the newest");
  let next = null, turn = 0;

  const fields = FIELDS.map(([key, label, hint]) => h("label", {class: "field"}, label, key === "decision"
    ? h("select", {name: key}, ["", ...DECISIONS].map((d) => h("option", {value: d, selected: d === values[key]}, d || "Every decision")))
    : h("input", {name: key, value: values[key], placeholder: hint || false, autocomplete: "off", spellcheck: "false"})));
  const hasMore = FIELDS.slice(FIRST).some(([k]) => values[k]);
  const form = h("form", {role: "search", "aria-label": "Search the history"}, h("div", {class: "filters"}, fields.slice(0, FIRST), h("button", {class: "btn primary bottom"}, "Search")),
    h("details", {open: hasMore}, h("summary", null, "More filters"), h("div", {class: "filters"}, fields.slice(FIRST)), h("p", {class: "help"}, "Words may end in * (pus*). Times are UTC. All filters are in this page's address: bookmark it or send it on.")));
  form.addEventListener("submit", (e) => {
    e.preventDefault();
    const q = query(Object.fromEntries(new FormData(form)));
    if (location.hash === `#/history${q}`) start();
    else location.hash = `#/history${q}`;
  });
  const exports = ["csv", "json", "jsonl"].map((f) => h("a", {class: "btn linkbtn", href: `/api/history/export${query({...values, format: f})}`, download: `clawrden-history.${f}`}, f.toUpperCase()));
  fill(main, head("History", "Every decision and every end, as the audit log has them.", h("span", {class: "help"}, "Export"), exports), form, note, table, h("div", {class: "row pager"}, newest, more));

  function row(r) {
    const button = h("button", {class: "btn quiet when", "aria-expanded": "false", title: "the whole story"}, clock(r.time));
    const tr = cells(button, line(r, ROW), r.container ? h("span", {class: "tag"}, name(r.container)) : "the host", h("span", {class: `tag ${toneOf(r.decision)}`}, r.decision),
      r.approver ? name(r.approver) : r.rule ? name(r.rule) : "", outcome(r), short(r.duration_ms));
    let told = null;
    button.addEventListener("click", () => {
      if (told) told.remove();
      told = told ? null : h("tr", {class: "story", role: "row"}, h("td", {colspan: "7", role: "cell"}, story(r.id)));
      if (told) tr.after(told);
      button.setAttribute("aria-expanded", String(!!told));
    });
    return tr;
  }

  async function page(cursor) {
    const mine = ++turn;
    more.disabled = true;
    try {
      const said = await get(`/api/history${query({...values, limit: PAGE, cursor})}`);
      if (mine !== turn) return;
      if (!cursor) fill(body);
      if (!cursor) newest.hidden = true;
      body.append(...said.history.map(row));
      while (body.childElementCount > KEPT) {
        body.firstChild.remove();
        newest.hidden = false;
      }
      next = said.next;
      fill(note, body.childElementCount ? null : empty("Nothing fits", "No decision on record fits these filters."));
      table.hidden = !body.childElementCount;
      more.hidden = next === null;
      if (values.id && said.history.length === 1) body.querySelector("button").click();
    } catch (e) {
      if (mine === turn) fill(note, refused(e, start));
    }
    more.disabled = false;
  }
  const start = () => page(null);
  more.addEventListener("click", () => page(next));
  start();
  return () => { turn++; };
}
