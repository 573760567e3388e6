// SPDX-License-Identifier: MIT
// What a page says when it has nothing to show.
import {h} from "./dom.js";

export const loading = () => h("div", {class: "state", role: "status"}, h("p", null, "Loading …"));
export const empty = (title, words) => h("div", {class: "state"}, h("h2", null, title), h("p", null, words));

export function refused(e, again) {
  if (e.status === 403) return h("div", {class: "state", role: "alert"}, h("h2", null, "Not allowed"), h("p", null, e.message));
  return h("div", {class: "state", role: "alert"}, h("h2", null, e.status === 0 ? "Offline" : "That did not work"), h("p", null, e.message),
    again ? h("button", {class: "btn", onclick: again}, "Try again") : null);
}

export const head = (title, help, ...more) => h("div", {class: "page-head"}, h("div", null, h("h1", null, title), h("p", {class: "help"}, help)), h("div", {class: "row"}, more));
