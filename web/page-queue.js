// SPDX-License-Identifier: MIT
// What waits for a person: identical requests as one card, the oldest first, nothing that moves under a finger.
import {post} from "./api.js";
import {makeCard} from "./card.js";
import {fill, h, keyed, text} from "./dom.js";
import {plainText, spelled} from "./command.js";
import * as keys from "./keys.js";
import * as notify from "./notify.js";
import {changed, clearOver, link, load, may, on, waiting, waitingCount} from "./state.js";
import {empty, head, loading, refused} from "./states.js";
import {everyTick} from "./time.js";
import {failed, toast} from "./toast.js";

const WINDOW = 20; // cards in the page at a time, however many wait
const AT_ONCE = 4; // cards made between two frames, or a finger would wait for them
const OPTIONS = 100;
const SEEN_MS = 400; // what came into a card a blink ago was not read

const groupKey = (r) => r.digest ? [r.digest, r.uid, plainText(r.container), plainText(r.rule), r.trust].join("\u0001") : r.id;

function groups(filter) {
  const found = new Map();
  for (const w of waiting.values()) {
    if (filter.command && plainText(w.r.command) !== filter.command) continue;
    if (filter.container && (plainText(w.r.container) || "the host") !== filter.container) continue;
    if (filter.rule && (plainText(w.r.rule) || "no rule") !== filter.rule) continue;
    // What is over stays with those it was shown with, and never takes in what comes later.
    w.key = w.key || groupKey(w.r);
    const key = w.over ? `${w.key}\u0001${w.over.kind}` : w.key;
    const g = found.get(key);
    if (g) g.push(w);
    else found.set(key, [w]);
  }
  return found;
}

export function open(main, params) {
  const filter = {command: params.get("command") || "", container: params.get("container") || "", rule: params.get("rule") || ""};
  const list = h("ol", {class: "cards", "aria-label": "Requests that wait"});
  const more = h("button", {class: "btn", hidden: true});
  const first = h("button", {class: "btn", hidden: true});
  const place = h("span", {class: "help", role: "status"});
  const none = h("div");
  const tidy = h("button", {class: "btn quiet", hidden: true, onclick: clearOver});
  const bar = h("div", {class: "filters", role: "group", "aria-label": "Filters"});
  const cards = new Map();
  let next = 0;
  let from = 0; // the place that the window begins at: what ends before it moves nothing

  const selects = Object.fromEntries(Object.keys(filter).map((name) => {
    const s = h("select", {"aria-label": `Filter by ${name}`, onchange: () => {
      filter[name] = s.value;
      const q = new URLSearchParams(Object.entries(filter).filter(([, v]) => v)).toString();
      history.replaceState(null, "", `#/queue${q ? "?" + q : ""}`);
      from = 0;
      draw();
    }});
    return [name, s];
  }));
  fill(bar, Object.values(selects));

  const bell = h("button", {class: "btn quiet", "aria-pressed": String(notify.wanted()), hidden: !notify.possible(), onclick: async () => {
    bell.setAttribute("aria-pressed", String(await notify.want(!notify.wanted())));
    text(bell, notify.wanted() ? "Notifications on" : "Notify me");
  }}, notify.wanted() ? "Notifications on" : "Notify me");
  const help = h("button", {class: "btn quiet keys-help", onclick: keys.showHelp}, "Shortcuts ", h("kbd", null, "?"));
  fill(main, head("Queue", may("approver") ? "What agents want to run and the policy leaves to you." : "What agents want to run. Your role may look, not answer.", tidy, bell, help), bar, none, list, h("div", {class: "row pager"}, first, more, place));

  function options(select, name, values) {
    const wanted = ["", ...[...new Set(filter[name] ? [filter[name], ...values] : values)].slice(0, OPTIONS).sort()];
    if (select.dataset.options === wanted.join("\u0001")) return;
    select.dataset.options = wanted.join("\u0001");
    fill(select, wanted.map((v) => h("option", {value: v}, v ? spelled(v) : `${name[0].toUpperCase()}${name.slice(1)}`)));
    select.value = filter[name];
  }

  async function answer(card, what, comment) {
    const now = performance.now();
    const seen = card.group.filter((w) => !w.over && w.shownAt && now - w.shownAt > SEEN_MS);
    if (what === "approve" && !card.whole) return card.say("Not all of this command is shown: press “Show all” and read it first.");
    // Without a digest the warden would take the answer for whatever waits under that id.
    if (what === "approve" && seen.some((w) => !w.r.digest)) return toast("The warden has not said what an answer would be bound to.", "bad");
    if (!seen.length) return toast("This has only just arrived: look once more.", "info");
    card.busy(true);
    let refusedBy = null;
    await Promise.all(seen.map(async (w) => {
      try {
        await post(`/api/queue/${w.r.id}/${what}`, {digest: w.r.digest, channel: "dashboard", ...(comment ? {comment} : {})});
      } catch (e) {
        if (e.status === 404 || e.status === 409) {
          refusedBy = e.message;
          if (!w.over) setTimeout(() => { if (!w.over) load(); }, 500);
        } else refusedBy = refusedBy || e.message, failed(e);
      }
    }));
    card.busy(false);
    if (refusedBy) card.say(`Not yours: ${refusedBy}`);
  }

  function draw() {
    const start = performance.now();
    const open = [...waiting.values()].filter((w) => !w.over);
    options(selects.command, "command", open.map((w) => plainText(w.r.command)));
    options(selects.container, "container", open.map((w) => plainText(w.r.container) || "the host"));
    options(selects.rule, "rule", open.map((w) => plainText(w.r.rule) || "no rule"));
    const found = groups(filter);
    // A card keeps its place when what it shows is over: its key is that of its first request, and of what an answer is bound to.
    const all = [...found.values()];
    const at = Math.max(0, all.findIndex((g) => g[0].place >= from));
    const rows = all.slice(at, at + WINDOW).map((g) => [`${g[0].r.id} ${g[0].r.digest || ""}`, g]);
    let budget = AT_ONCE;
    const drawn = rows.filter(([key]) => cards.has(key) || budget-- > 0);
    if (drawn.length < rows.length) changed("queue");
    keyed(list, drawn.map(([key, g]) => [key, () => {
      const card = makeCard(g, answer);
      cards.set(key, card);
      return card.element;
    }]));
    const there = new Set(rows.map(([key]) => key));
    for (const key of cards.keys()) if (!there.has(key)) cards.delete(key);
    for (const [key, g] of drawn) {
      cards.get(key).update(g);
      if (!document.hidden) for (const w of g) w.shownAt = w.shownAt || start;
    }
    const left = all.length - at - rows.length;
    next = left > 0 ? all[at + WINDOW][0].place : 0;
    const whole = drawn.length === rows.length; // or the pager would be pushed down by each card
    more.hidden = left <= 0 || !whole;
    text(more, `Next ${Math.min(WINDOW, left)}`);
    first.hidden = at === 0 || !whole;
    text(first, "Back to the oldest");
    text(place, whole && (left > 0 || at > 0) ? `${at + 1} to ${at + rows.length} of ${all.length}` : "");
    const over = waiting.size - open.length;
    tidy.hidden = over === 0;
    text(tidy, `Clear ${over} finished`);
    if (rows.length) fill(none);
    else if (link.error) fill(none, refused(link.error, load));
    else if (!link.loaded) fill(none, loading());
    else if (waitingCount()) fill(none, empty("Nothing fits the filter", `${waitingCount()} wait in all.`));
    else fill(none, empty("Nothing waits", "New requests appear here by themselves. What the policy allows or denies does not come here: see History."));
  }

  function turn(to) {
    from = to;
    draw();
    (list.firstChild || main).focus({preventScroll: true});
    scrollTo(0, 0);
  }
  more.addEventListener("click", () => turn(next));
  first.addEventListener("click", () => turn(0));
  const off = on((kinds) => { if (kinds.has("queue") || kinds.has("link")) draw(); });
  const stop = everyTick(() => { for (const c of cards.values()) c.tick(); });
  const unbind = keys.bind(list, cards);
  draw();
  return () => { off(); stop(); unbind(); };
}
