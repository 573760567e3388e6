// SPDX-License-Identifier: MIT
// The queue by keyboard: j and k walk, a approves, d denies, c writes a comment, ? says so.
import {h} from "./dom.js";

const KEYS = [["j / k", "next, previous request"], ["a", "approve (twice where care is needed)"], ["d", "deny"], ["c", "write a comment; Esc leaves it"], ["s", "show all of a long command"], ["o", "open or close the details"], ["?", "this list"]];

export function showHelp() {
  if (document.querySelector("dialog[open]")) return;
  const close = () => dialog.close();
  const dialog = h("dialog", {"aria-labelledby": "keys-title"}, h("h2", {id: "keys-title"}, "Shortcuts"),
    h("dl", {class: "facts keys"}, KEYS.map(([k, what]) => [h("dt", null, h("kbd", null, k)), h("dd", null, what)])),
    h("div", {class: "row end"}, h("button", {class: "btn", onclick: close}, "Close")));
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
}

// `list`: the element with the cards; `cards`: key -> card. Returns what unbinds.
export function bind(list, cards) {
  const current = () => document.activeElement && document.activeElement.closest ? document.activeElement.closest(".card") : null;
  function walk(step) {
    const all = [...list.querySelectorAll(".card:not(.over)")];
    if (!all.length) return;
    const here = current();
    let at = all.indexOf(here);
    if (here && at < 0) at = all.findIndex((e) => here.compareDocumentPosition(e) & Node.DOCUMENT_POSITION_FOLLOWING) - (step > 0 ? 1 : 0);
    const e = all[Math.max(0, Math.min(all.length - 1, at + step))];
    e.focus({preventScroll: true});
    e.scrollIntoView({block: "nearest"});
  }
  function pressed(e) {
    if (e.ctrlKey || e.metaKey || e.altKey || document.querySelector("dialog[open]")) return;
    const field = e.target.matches("input, textarea, select");
    if (field) {
      if (e.key === "Escape") (current() || e.target).focus();
      return;
    }
    if (e.key === "j" || e.key === "k") return e.preventDefault(), walk(e.key === "j" ? 1 : -1);
    if (e.key === "?") return showHelp();
    const card = current() && cards.get(current().dataset.key);
    if (!card || e.repeat) return;
    if (e.key === "a") card.approve();
    else if (e.key === "d") card.deny();
    else if (e.key === "s") card.all();
    else if (e.key === "o") { const d = card.element.querySelector("details"); d.open = !d.open; }
    else if (e.key === "c") e.preventDefault(), card.comment();
  }
  document.addEventListener("keydown", pressed);
  return () => document.removeEventListener("keydown", pressed);
}
