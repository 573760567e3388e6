// SPDX-License-Identifier: MIT
// The policy in force: its text with what each rule has done, why it would say what, reload, and what changed.
import {get, post} from "./api.js";
import {visible, name} from "./command.js";
import {changes} from "./diff.js";
import {fill, h} from "./dom.js";
import {may, on} from "./state.js";
import {head, loading, refused} from "./states.js";
import {clock} from "./time.js";

const KEY = "clawrden-policy-seen"; // the text that this browser saw last, to say what changed since

// A shell line as words: blanks part, quotes keep together. Enough for a question.
export function words(s) {
  return [...s.matchAll(/"((?:[^"\\]|\\.)*)"|'([^']*)'|(\S+)/g)].map((m) => m[1] !== undefined ? m[1].replace(/\\(.)/g, "$1") : m[2] !== undefined ? m[2] : m[3]);
}

function textBox(policy, doc) {
  const hits = new Map(policy.rules.map((r) => [r.line, r]));
  const seen = sessionStorage.getItem(KEY);
  const lines = doc.text.replace(/\n$/, "").split("\n");
  const rows = lines.map((l, i) => {
    const r = hits.get(i + 1);
    return [h("span", {class: "no"}, String(i + 1)), h("span", {class: "hits", title: r ? `decided by ${r.name} since the start${r.hit_at ? `, last ${clock(r.hit_at)}` : ""}` : false}, r ? `${r.hits} ×` : ""), visible(l), "\n"];
  });
  const box = h("pre", {class: "code", tabindex: "0", role: "region", "aria-label": "The policy's text; behind the line number how often its rule decided"}, rows);
  const changed = seen !== null && seen !== doc.text ? h("div", {class: "panel"}, h("h2", null, "What changed since you looked"), h("pre", {class: "code", tabindex: "0", role: "region", "aria-label": "What changed"}, changes(seen, doc.text).map(([kind, l]) => h("span", {class: kind}, kind === "new" ? "+ " : kind === "old" ? "- " : "  ", visible(l), "\n")))) : null;
  sessionStorage.setItem(KEY, doc.text);
  return [changed, h("div", {class: "panel"}, h("h2", null, "In force"), h("p", {class: "help"}, h("code", null, name(policy.name)), " · ", h("code", {title: policy.version}, policy.version.slice(0, 12)), ` · ${policy.rules.length} rules; the counts are what each rule has decided since the warden started`), box)];
}

function explainBox(params) {
  const out = h("pre", {class: "code wrap", tabindex: "0", role: "region", "aria-label": "The answer", hidden: true});
  const command = h("input", {name: "command", placeholder: "git push --force origin", autocomplete: "off", spellcheck: "false", required: true, class: "grow"});
  const cwd = h("input", {name: "cwd", value: "/", autocomplete: "off", spellcheck: "false"});
  const uid = h("input", {name: "uid", inputmode: "numeric", pattern: "[0-9]*", placeholder: "65534", autocomplete: "off"});
  async function ask(body) {
    out.hidden = false;
    try {
      fill(out, visible((await post("/api/policy/explain", body)).text).map((x) => x instanceof Node && x.textContent === "LF" ? "\n" : x));
    } catch (e) {
      fill(out, e.message);
    }
  }
  const form = h("form", {class: "panel"}, h("h2", null, "Why would it …?"), h("p", {class: "help"}, "Asks the policy in force about a command that nobody has called; the same code that decides answers."),
    h("div", {class: "filters"}, h("label", {class: "field grow"}, "Command", command), h("label", {class: "field"}, "Directory", cwd), h("label", {class: "field"}, "Uid", uid), h("button", {class: "btn primary bottom"}, "Explain")), out);
  form.addEventListener("submit", (e) => {
    e.preventDefault();
    const [first, ...args] = words(command.value);
    if (first) ask({command: first, args, cwd: cwd.value || "/", ...(uid.value ? {uid: Number(uid.value)} : {})});
  });
  if (params.get("id")) ask({id: params.get("id")});
  return form;
}

function loads(list) {
  return h("div", {class: "panel"}, h("h2", null, "Loaded and refused"), h("ol", {class: "timeline"}, list.map((l) => h("li", {class: l.refused ? "bad" : "ok"}, h("time", {datetime: l.time}, clock(l.time)),
    l.refused ? ["Refused, the one before stays: ", h("code", null, visible(l.refused))] : ["In force: ", h("code", null, (l.version || "").slice(0, 12)), `, ${l.rules} rules`], l.by ? [" · ", name(l.by)] : ""))));
}

export function open(main, params) {
  const box = h("div", null, loading());
  const result = h("p", {class: "panel", role: "status", hidden: true});
  const reload = may("admin") ? h("button", {class: "btn", onclick: async () => {
    result.hidden = false;
    try {
      const said = await post("/api/policy/reload");
      fill(result, h("span", {class: "tag ok"}, "in force"), ` ${said.rules} rules, `, h("code", null, said.version.slice(0, 12)));
    } catch (e) {
      fill(result, h("span", {class: "tag bad"}, "refused, the one before stays"), " ", h("code", null, visible(e.message)));
    }
    load();
  }}, "Reload the file") : null;
  fill(main, head("Policy", "What decides: the first rule that fits. Change the file on the warden's host; it is read anew when it changes.", reload), result, explainBox(params), box);
  let gone = false;
  async function load() {
    try {
      const [policy, doc, list] = await Promise.all([get("/api/policy"), get("/api/policy/text"), get("/api/policy/loads")]);
      if (!gone) fill(box, policy.error ? h("p", {class: "panel", role: "alert"}, h("span", {class: "tag bad"}, "the file was refused"), " ", h("code", null, visible(policy.error))) : null, textBox(policy, doc), loads(list));
    } catch (e) {
      if (!gone) fill(box, refused(e, load));
    }
  }
  load();
  const off = on((kinds) => { if (kinds.has("policy")) load(); });
  return () => { gone = true; off(); };
}
