// SPDX-License-Identifier: MIT
// Short messages at the edge; read aloud, gone by themselves, never the only place where something is said.
import {byId, h} from "./dom.js";

export function toast(words, kind = "info") {
  const box = byId("toasts");
  const e = h("p", {class: `toast ${kind}`}, words);
  box.append(e);
  while (box.children.length > 4) box.firstChild.remove();
  setTimeout(() => e.remove(), kind === "bad" ? 9000 : 5000);
}

export const failed = (e) => toast(e.status === 403 ? `Not allowed: ${e.message}` : e.message, "bad");
