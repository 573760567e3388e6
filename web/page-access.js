// SPDX-License-Identifier: MIT
// Who may do what: tokens, people, and the browsers that are logged in.
import {del, get, post} from "./api.js";
import {twice} from "./act.js";
import {name} from "./command.js";
import {fill, h} from "./dom.js";
import {me} from "./state.js";
import {head, loading, refused} from "./states.js";
import {makeTable} from "./table.js";
import {clock} from "./time.js";
import {failed, toast} from "./toast.js";

const ROLES = [["viewer", "looks"], ["approver", "and answers"], ["operator", "and kills and pauses"], ["admin", "and governs access and policy"]];
const roleField = () => h("label", {class: "field"}, "Role", h("select", {name: "role"}, ROLES.map(([r, what]) => h("option", {value: r}, `${r}: ${what}`))));

function table(label, columns, list, cells) {
  const t = makeTable(label, columns, true);
  t.body.append(...list.map((x) => t.row(...cells(x))));
  return t.element;
}

function remove(words, path, again) {
  return twice(h("button", {class: "btn danger"}, words), "Sure?", async () => {
    try {
      await del(path);
      toast("Done; it counts no more.");
    } catch (e) {
      failed(e);
    }
    again();
  });
}

function maker(fields, words, act) {
  const form = h("form", {class: "filters"}, fields, h("button", {class: "btn primary bottom"}, words));
  form.addEventListener("submit", async (e) => {
    e.preventDefault();
    const given = Object.fromEntries(Object.entries(Object.fromEntries(new FormData(form))).filter(([, v]) => v));
    try {
      await act(given);
      form.reset();
    } catch (x) {
      failed(x);
    }
  });
  return form;
}

export function open(main) {
  const made = h("div", {class: "panel", role: "status", hidden: true});
  const box = h("div", null, loading());
  fill(main, head("Access", "Each role may do what the ones before it may: viewer, approver, operator, admin."), h("p", {class: "panel"}, "You are ", h("b", null, name(me.who)), `, ${me.role}${me.expires_at ? `; this session ends at ${clock(me.expires_at)} at the latest` : ""}.`), made, box);
  let gone = false;

  function tokens(list) {
    return h("section", {class: "panel", "aria-label": "Tokens"}, h("h2", null, "Tokens"), h("p", {class: "help"}, "For programs and other machines. A token is shown once, when it is made."),
      maker([h("label", {class: "field"}, "Name", h("input", {name: "name", maxlength: "64", autocomplete: "off"})), roleField(), h("label", {class: "field"}, "Counts for", h("select", {name: "expires"}, [["30d", "30 days"], ["1d", "a day"], ["1h", "an hour"], ["365d", "a year"], ["", "ever"]].map(([v, t]) => h("option", {value: v}, t))))], "Make a token", async (given) => {
        const t = await post("/api/tokens", given);
        made.hidden = false;
        fill(made, h("h2", null, "The new token"), h("p", {class: "help"}, "Copy it now: it is not shown again."), h("code", {class: "cmd"}, t.token));
        load();
      }),
      table("Tokens", [["Name"], ["Role"], ["Made"], ["Expires", "tight"], ["Last used", "tight"], ["", "num"]], list, (t) => [name(t.name || t.id), t.role, [clock(t.created_at), t.by ? [" by ", name(t.by)] : ""], t.expires_at ? clock(t.expires_at) : "never", t.used_at ? clock(t.used_at) : "–",
        t.fixed ? h("span", {class: "help"}, "the host's own") : remove("Revoke", `/api/tokens/${encodeURIComponent(t.id)}`, load)]));
  }

  function users(list) {
    return h("section", {class: "panel", "aria-label": "People"}, h("h2", null, "People"), h("p", {class: "help"}, "Who logs in with a name and a password."),
      maker([h("label", {class: "field"}, "Name", h("input", {name: "name", maxlength: "64", autocomplete: "off", required: true})), roleField(), h("label", {class: "field"}, "Password, 10 characters or more", h("input", {name: "password", type: "password", minlength: "10", maxlength: "1024", autocomplete: "new-password", required: true}))], "Add", async (given) => {
        await post("/api/users", given);
        load();
      }),
      list.length ? table("People", [["Name"], ["Role"], ["Since", "tight"], ["", "num"]], list, (u) => [name(u.name), u.role, clock(u.created_at), remove("Remove", `/api/users/${encodeURIComponent(u.name)}`, load)]) : h("p", {class: "help"}, "Nobody yet."));
  }

  function sessions(list) {
    return h("section", {class: "panel", "aria-label": "Sessions"}, h("h2", null, "Sessions"), h("p", {class: "help"}, "Browsers that are logged in."),
      table("Sessions", [["Who"], ["Role"], ["By"], ["From"], ["Last seen", "tight"], ["Ends", "tight"], ["", "num"]], list, (s) => [[name(s.who), s.current ? [" ", h("span", {class: "tag ok"}, "this one")] : null], s.role, s.method, [name(s.address), h("div", {class: "help"}, name(s.agent))], clock(s.used_at), clock(s.expires_at),
        remove("End", `/api/sessions/${encodeURIComponent(s.id)}`, load)]));
  }

  async function load() {
    try {
      const [t, u, s] = await Promise.all([get("/api/tokens"), get("/api/users"), get("/api/sessions")]);
      if (!gone) fill(box, sessions(s), tokens(t), users(u));
    } catch (e) {
      if (!gone) fill(box, refused(e, load));
    }
  }
  load();
  return () => { gone = true; };
}
