// SPDX-License-Identifier: MIT
// A command as a person should see it: quoted for a shell, coloured by what each word is, and every character that a
// screen would not show, or would show as something else, as a small label.
import {h} from "./dom.js";

// Controls, blanks that are none, joiners, directions, tags, private use, what is not assigned or half a character.
const HIDDEN = /[\p{Cc}\p{Cf}\p{Co}\p{Cn}\p{Cs}\p{Zl}\p{Zp}\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\uffa0\ufe00-\ufe0f\u{e0100}-\u{e01ef}]|(?! )\p{Zs}/u;
const NAMES = {9: "TAB", 10: "LF", 13: "CR", 27: "ESC", 0x200b: "ZWSP", 0x200d: "ZWJ", 0x202e: "RLO", 0x2066: "LRI", 0xa0: "NBSP"};
const MARK = /\p{M}/u;
const ODD = /[^\x20-\x7e]/u;
const PLAIN = /^[A-Za-z0-9_@%+=:,./^~-]+$/;

export function bytesOf(v) {
  return typeof v === "string" ? null : Uint8Array.from(atob((v && v.bytes) || ""), (c) => c.charCodeAt(0));
}

// How much is shown, [characters, elements]: of a command in a table, in a card, and when somebody asks for all of it. An
// agent may send megabytes, or an odd letter and a plain one in turn: that must not hold the page up.
export const ROW = [400, 60], CARD = [4000, 400], ALL = [200000, 2000];
const COLOURED = 300; // words; those behind are plain
const STACKED = 3; // combining marks on one letter

// What may still be shown, and how many characters were not.
const room = ([left, spans] = [Infinity, Infinity]) => ({left, spans, words: COLOURED, over: 0});

function label(code, times) {
  const number = "U+" + code.toString(16).toUpperCase().padStart(4, "0");
  return h("span", {class: "ch", title: `a character that is not seen: ${number}`}, (NAMES[code] || number) + (times > 1 ? ` ×${times}` : ""));
}

function bytesShown(bytes, left) {
  const shown = bytes.subarray(0, Math.min(left.left, left.spans));
  left.left -= shown.length;
  left.spans -= shown.length;
  left.over += bytes.length - shown.length;
  return [...shown].map((b) => b > 0x20 && b < 0x7f ? String.fromCharCode(b) : h("span", {class: "ch"}, "\\x" + b.toString(16).padStart(2, "0")));
}

// Any text of an agent: plain letters as they are, the rest labelled; letters beyond ASCII underlined.
export function visible(v, left = room()) {
  const bytes = bytesOf(v);
  if (bytes) return bytesShown(bytes, left);
  if (v.length <= left.left && !ODD.test(v)) {
    left.left -= v.length;
    return [v];
  }
  const out = [];
  let kind = "", run = "", times = 0, at = 0, marks = 0;
  const flush = () => {
    if (kind === "plain") out.push(run);
    else if (kind) left.spans--;
    if (kind === "odd") out.push(h("span", {class: "odd", title: "not plain ASCII: may look like another letter"}, run));
    if (kind === "hidden") out.push(label(run.codePointAt(0), times));
    kind = run = "";
    times = 0;
  };
  for (const c of v) {
    if (left.left <= 0 || left.spans <= 0) break;
    marks = MARK.test(c) ? marks + 1 : 0;
    const is = HIDDEN.test(c) || marks > STACKED ? "hidden" : ODD.test(c) ? "odd" : "plain";
    if (is !== kind || (is === "hidden" && run !== c)) flush();
    kind = is;
    run = is === "hidden" ? c : run + c;
    times++;
    at += c.length;
    left.left -= c.length;
  }
  flush();
  left.over += v.length - at;
  return out;
}

function word(v, kind, left) {
  const s = typeof v === "string" ? v : null;
  const plain = s !== null && PLAIN.test(s);
  const parts = s === null ? visible(v, left) : s === "" ? [] : visible(plain ? s : s.replaceAll("'", "'\\''"), left);
  const all = plain ? parts : ["'", parts, "'"];
  left.left -= 3; // a word of nothing is something too
  return left.words-- > 0 ? h("span", {class: plain ? kind : "w-str"}, all) : all;
}

const kindOf = (v) => typeof v !== "string" ? "w-arg" : v.startsWith("-") ? "w-opt" : v.includes("/") ? "w-path" : "w-arg";
const lengthOf = (v) => typeof v === "string" ? v.length : bytesOf(v).length;

function words(r, left) {
  const out = [word(r.command, "w-cmd", left)];
  for (const a of r.args) {
    if (left.left > 0 && left.spans > 0) out.push(" ", word(a, kindOf(a), left));
    else left.over += lengthOf(a) + 1;
  }
  return out;
}

// The line as far as `most`; of a request in brief, or of one too large for a list, what the warden wrote of it. Its
// property `whole`: nothing is missing.
export function line(r, most = CARD) {
  const left = room(most);
  const shown = Array.isArray(r.args) ? words(r, left) : visible(r.command_line || r.command || "", left);
  const missing = left.over ? `… ${left.over.toLocaleString("en")} more characters` : r.shortened ? "… shortened" : null;
  const e = h("code", {class: "cmd"}, shown, missing ? [" ", h("span", {class: "ch"}, missing)] : null);
  e.whole = !missing;
  return e;
}

// A name in a sentence.
export function name(v) {
  const left = room(CARD);
  return h("bdi", null, v === null || v === undefined ? "" : visible(v, left), left.over ? " …" : null);
}

// The same where only text may stand, a menu or a notification: in short.
export const spelled = (v) => v ? visible(v, room([60, 20])).map((x) => typeof x === "string" ? x : x.className === "ch" ? `‹${x.textContent}›` : x.textContent).join("") : "";

export const plainText = (v) => typeof v === "string" ? v : v ? "(bytes)" : "";
