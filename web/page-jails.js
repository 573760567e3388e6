// SPDX-License-Identifier: MIT
// Folders of command names that lead to the shim: which there are, for whom, and making, changing, deleting them.
import {del, get, post} from "./api.js";
import {typed} from "./act.js";
import {name, plainText} from "./command.js";
import {fill, h} from "./dom.js";
import {may} from "./state.js";
import {empty, head, loading, refused} from "./states.js";
import {makeTable} from "./table.js";
import {clock} from "./time.js";
import {failed, toast} from "./toast.js";

const EVERY_MS = 5000;
const MODES = [["plain", "plain: first on the PATH"], ["hardened", "hardened: over the tools themselves"]];
const list = (s) => s.split(/[\s,]+/).filter(Boolean);

const fields = (j) => [
  h("label", {class: "field grow"}, "Commands, with blanks between", h("input", {name: "commands", value: j ? j.commands.map(plainText).join(" ") : "", placeholder: "npm git", autocomplete: "off", autocapitalize: "off", spellcheck: "false", required: true})),
  h("label", {class: "field"}, "For containers", h("input", {name: "containers", value: j ? j.containers.map(plainText).join(" ") : "", placeholder: "build-*", autocomplete: "off", autocapitalize: "off", spellcheck: "false"})),
  h("label", {class: "field grow"}, "Mode", h("select", {name: "mode"}, MODES.map(([m, what]) => h("option", {value: m, selected: !!j && j.mode === m}, what)))),
];

function bodyOf(given) {
  const body = {commands: list(given.commands), mode: given.mode};
  const containers = list(given.containers);
  if (containers.length) body.containers = containers;
  return body;
}

const codes = (names) => names.map((n, i) => [i ? " " : null, h("code", null, name(n))]);

function whom(j) {
  if (j.container) return ["the container ", h("code", null, j.container.slice(0, 12))];
  const said = [...j.containers.map((c) => h("code", null, name(c))), ...j.labels.map((l) => h("code", null, name(l.key), l.value ? ["=", name(l.value)] : null))];
  return said.length ? said.map((x, i) => [i ? " " : null, x]) : "whoever mounts it";
}

export function open(main) {
  const box = h("div", null, loading());
  const form = h("form", {class: "panel"}, h("h2", null, "Make a jail"), h("p", {class: "help"}, "Then mount its folder into a container, read-only, and put it first on the PATH there. A hardened one covers the tools of the containers that it names, and needs no mount."),
    h("div", {class: "filters"}, h("label", {class: "field"}, "Name", h("input", {name: "name", maxlength: "64", pattern: "[A-Za-z0-9][A-Za-z0-9_.\\-]*", placeholder: "tools", autocomplete: "off", autocapitalize: "off", spellcheck: "false", required: true})), fields(null), h("button", {class: "btn primary bottom"}, "Make")));
  fill(main, head("Jails", "Folders of command names that lead to the warden. In a container that has one, these commands are judged."), may("operator") ? form : null, box);
  let gone = false, last = "";

  async function change(j) {
    const given = await typed({title: `Change ${plainText(j.name)}`, words: "Containers that have it mounted see the new names at once.", action: "Save", fields: fields(j)});
    if (!given) return;
    await call(() => post(`/api/jails/${encodeURIComponent(j.name)}`, bodyOf(given)), "Changed.");
  }

  async function remove(j) {
    if (!await typed({title: `Delete ${plainText(j.name)}`, words: "Containers that have it mounted find an empty folder: their own tools are no longer judged there.", word: plainText(j.name), action: "Delete"})) return;
    await call(() => del(`/api/jails/${encodeURIComponent(j.name)}`), "Deleted.");
  }

  async function call(act, words) {
    try {
      await act();
      toast(words);
      return true;
    } catch (e) {
      failed(e);
      return false;
    } finally {
      load();
    }
  }

  function acts(j) {
    if (j.origin === "policy") return h("span", {class: "help"}, "changed in the policy");
    if (j.origin === "label") return h("span", {class: "help"}, "of the container's labels");
    return may("operator") ? h("div", {class: "row"}, h("button", {class: "btn", onclick: () => change(j)}, "Change"), h("button", {class: "btn danger", onclick: () => remove(j)}, "Delete")) : null;
  }

  function draw(jails) {
    if (!jails.length) return fill(box, empty("No jails", ["A jail puts commands of a container before the warden. ", may("operator") ? "Make one above, or name it under " : "An operator makes one, or names it under ", h("code", null, "jails:"), " in the policy."]));
    const t = makeTable("Jails", [["Jail"], ["Commands"], ["For"], ["Mode"], ["Made"], ["", "num"]], true);
    t.body.append(...jails.map((j) => t.row([name(j.name), h("div", {class: "help"}, h("code", null, name(j.directory)))], codes(j.commands), whom(j), h("span", {class: `tag ${j.mode === "hardened" ? "ok" : ""}`}, j.mode),
      [{policy: "by the policy", label: "by labels", api: ["by ", name(j.by)]}[j.origin], j.created_at ? h("div", {class: "help"}, clock(j.created_at)) : null], acts(j))));
    fill(box, t.element);
  }

  async function load() {
    try {
      const jails = await get("/api/jails");
      if (gone || document.querySelector("dialog[open]")) return;
      const said = JSON.stringify(jails);
      if (said === last) return;
      last = said;
      draw(jails.sort((a, b) => plainText(a.name).localeCompare(plainText(b.name))));
    } catch (e) {
      last = "";
      if (!gone) fill(box, refused(e, load));
    }
  }
  form.addEventListener("submit", async (e) => {
    e.preventDefault();
    const given = Object.fromEntries(new FormData(form));
    if (await call(() => post("/api/jails", {name: given.name, ...bodyOf(given)}), `Made: ${given.name}.`)) form.reset();
  });
  load();
  const timer = setInterval(() => { if (!document.hidden) load(); }, EVERY_MS);
  return () => { gone = true; clearInterval(timer); };
}
