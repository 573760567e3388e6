// SPDX-License-Identifier: MIT
// What runs now, for how long, and the way to end it.
import {post} from "./api.js";
import {twice} from "./act.js";
import {line, name, ROW} from "./command.js";
import {fill, h, keyed, text} from "./dom.js";
import {link, load, may, on, running} from "./state.js";
import {empty, head, loading, refused} from "./states.js";
import {makeTable} from "./table.js";
import {everyTick, span} from "./time.js";
import {failed, toast} from "./toast.js";

const SHOWN = 200;

async function kill(r) {
  try {
    const said = await post("/api/kill", {id: r.id, reason: "dashboard"});
    toast(said.message || "Told to end; it is killed if it does not.");
  } catch (e) {
    failed(e);
  }
}

export function open(main) {
  const {element: table, body, row: cells} = makeTable("Running commands", [["Command"], ["Where"], ["Allowed by"], ["Runs for", "num tight"], ["", "num"]]);
  const note = h("div");
  const rest = h("p", {class: "help"});
  fill(main, head("Live", "Commands that run at this moment. Ending one sends TERM, and KILL after a grace."), note, table, rest);
  const clocks = new Map();

  function row(r) {
    const time = h("span");
    clocks.set(r.id, time);
    return cells(line(r, ROW), [r.container ? h("span", {class: "tag"}, name(r.container)) : "the host", h("div", {class: "help"}, h("code", null, name(r.cwd)))],
      r.approver ? name(r.approver) : r.rule ? ["rule ", name(r.rule)] : "", time, may("operator") ? twice(h("button", {class: "btn danger"}, "Kill"), "Kill: sure?", () => kill(r)) : null);
  }

  function tick() {
    for (const [id, cell] of clocks) {
      const run = running.get(id);
      if (run) text(cell, span(Date.now() - run.startedAt));
    }
  }

  function draw() {
    const shown = [...running.values()].slice(0, SHOWN);
    keyed(body, shown.map((x) => [x.r.id, () => row(x.r)]));
    for (const id of clocks.keys()) if (!running.has(id)) clocks.delete(id);
    table.hidden = shown.length === 0;
    text(rest, running.size > SHOWN ? `and ${running.size - SHOWN} more` : "");
    fill(note, shown.length ? null : link.error ? refused(link.error, load) : link.loaded ? empty("Nothing runs", "A command appears here when it starts and goes when it has ended.") : loading());
    tick();
  }
  const off = on((kinds) => { if (kinds.has("running") || kinds.has("queue")) draw(); });
  const stop = everyTick(tick);
  draw();
  return () => { off(); stop(); };
}
