// SPDX-License-Identifier: MIT
// A command as a person should see it: quoted for a shell, coloured by what each word is, and every character that a
// screen would not show, or would show as something else, as a small label.
import {h} from "./dom.js";

// Controls, blanks that are none, joiners, directions, tags, private use, what is not assigned or half a character.
const HIDDEN = /[\p{Cc}\p{Cf}\p{Co}\p{Cn}\p{Cs}\p{Zl}\p{Zp}\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\uffa0\ufe00-\ufe0f\u{e0100}-\u{e01ef}]|(?! )\p{Zs}/u;
const NAMES = {9: "TAB", 10: "LF", 13: "CR", 27: "ESC", 0x200b: "ZWSP", 0x200d: "ZWJ", 0x202e: "RLO", 0x2066: "LRI", 0xa0: "NBSP"};
const ODD = /[^\x20-\x7e]/u;
const PLAIN = /^[A-Za-z0-9_@%+=:,./^~-]+$/;

export function bytesOf(v) {
  return typeof v === "string" ? null : Uint8Array.from(atob((v && v.bytes) || ""), (c) => c.charCodeAt(0));
}

function label(code) {
  const name = NAMES[code] || "U+" + code.toString(16).toUpperCase().padStart(4, "0");
  return h("span", {class: "ch", title: `a character that is not seen: U+${code.toString(16).toUpperCase().padStart(4, "0")}`}, name);
}

// Any text of an agent: plain letters as they are, the rest labelled; letters beyond ASCII underlined.
export function visible(v) {
  const bytes = bytesOf(v);
  if (bytes) return [...bytes].map((b) => b > 0x20 && b < 0x7f ? String.fromCharCode(b) : h("span", {class: "ch"}, "\\x" + b.toString(16).padStart(2, "0")));
  if (!ODD.test(v)) return [v];
  const out = [];
  let run = "", odd = "";
  const flush = () => {
    if (run) out.push(run);
    if (odd) out.push(h("span", {class: "odd", title: "not plain ASCII: may look like another letter"}, odd));
    run = odd = "";
  };
  for (const c of v) {
    if (HIDDEN.test(c)) {
      flush();
      out.push(label(c.codePointAt(0)));
    } else if (ODD.test(c)) {
      if (run) flush();
      odd += c;
    } else {
      if (odd) flush();
      run += c;
    }
  }
  flush();
  return out;
}

function word(v, kind) {
  const s = typeof v === "string" ? v : null;
  if (s !== null && PLAIN.test(s)) return h("span", {class: kind}, visible(s));
  const parts = s === null ? visible(v) : s === "" ? [] : visible(s.replaceAll("'", "'\\''"));
  return h("span", {class: "w-str"}, h("span", {class: "q"}, "'"), parts, h("span", {class: "q"}, "'"));
}

const kindOf = (v) => typeof v !== "string" ? "w-arg" : v.startsWith("-") ? "w-opt" : v.includes("/") ? "w-path" : "w-arg";

// The whole line; of a request in brief, or of one too large for a list, what the warden wrote of it.
export function line(r) {
  if (!Array.isArray(r.args)) return h("code", {class: "cmd"}, visible(r.command_line || r.command || ""), r.shortened ? h("span", {class: "ch"}, "shortened: open it to see all") : null);
  return h("code", {class: "cmd"}, word(r.command, "w-cmd"), r.args.map((a) => [" ", word(a, kindOf(a))]));
}

// A name in a sentence.
export const name = (v) => h("bdi", null, v === null || v === undefined ? "" : visible(v));

export const plainText = (v) => typeof v === "string" ? v : v ? "(bytes)" : "";
