// SPDX-License-Identifier: MIT
// The number that waits in the title, on the app's icon, and a notification when the page is not looked at.
import {on, waiting, waitingCount} from "./state.js";
import {spelled} from "./command.js";

const KEY = "clawrden-notify";
let page = "Queue";

export function title(name) {
  page = name;
  draw();
}

function draw() {
  const n = waitingCount();
  document.title = `${n ? `(${n}) ` : ""}${page} · Clawrden`;
  if (navigator.setAppBadge) (n ? navigator.setAppBadge(n) : navigator.clearAppBadge()).catch(() => {});
}

export const possible = () => typeof Notification === "function" && Notification.permission !== "denied";
export const wanted = () => possible() && Notification.permission === "granted" && localStorage.getItem(KEY) === "yes";

export async function want(yes) {
  if (yes && Notification.permission !== "granted") yes = await Notification.requestPermission() === "granted";
  localStorage.setItem(KEY, yes ? "yes" : "no");
  return yes;
}

export function start() {
  on((kinds, came) => {
    if (!kinds.has("queue")) return;
    draw();
    const open = came.filter((r) => waiting.has(r.id) && !waiting.get(r.id).over);
    if (!open.length || !document.hidden || !wanted()) return;
    // What is asked may be secret, and a lock screen is public: the command's name only.
    const n = new Notification(open.length > 1 ? `${open.length} requests wait` : `${spelled(open[0].command)} waits for you`, {tag: "clawrden", icon: "/assets/icon.svg"});
    n.onclick = () => { focus(); location.hash = "#/queue"; n.close(); };
  });
}
