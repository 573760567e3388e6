// SPDX-License-Identifier: MIT
// Beginning, navigation, who is here, and whether the warden is heard.
import {get, del, toLogin} from "./api.js";
import {byId, fill, h, text} from "./dom.js";
import * as feed from "./feed.js";
import * as notify from "./notify.js";
import {changed, heard, link, me, on, waitingCount} from "./state.js";
import {loading} from "./states.js";
import {failed} from "./toast.js";

const PAGES = [["queue", "Queue"], ["live", "Live"], ["history", "History"], ["prisoners", "Prisoners"], ["jails", "Jails"], ["policy", "Policy"], ["health", "Health"], ["access", "Access"]];
const FIRST = 4; // on a phone the others are behind "More"

let leave = null, shown = "", turn = 0;

function where() {
  const [path, search] = location.hash.replace(/^#\/?/, "").split("?");
  return {page: PAGES.some(([p]) => p === path) ? path : "queue", params: new URLSearchParams(search || "")};
}

async function show() {
  const {page, params} = where();
  const mine = ++turn;
  const module = await import(`./page-${page}.js`);
  if (mine !== turn) return;
  if (leave) leave();
  leave = null;
  const main = byId("main");
  fill(main, loading());
  main.dataset.page = page;
  for (const a of byId("nav").querySelectorAll("a")) a.getAttribute("href") === `#/${page}` ? a.setAttribute("aria-current", "page") : a.removeAttribute("aria-current");
  byId("nav-more").classList.toggle("here", PAGES.findIndex(([p]) => p === page) >= FIRST);
  notify.title(PAGES.find(([p]) => p === page)[1]);
  if (shown && shown !== page) main.focus({preventScroll: true});
  shown = page;
  leave = module.open(main, params) || null;
}

function navigation() {
  const badge = h("span", {class: "badge", id: "nav-badge", hidden: true});
  const links = PAGES.map(([p, name]) => h("a", {href: `#/${p}`}, h("span", null, name), p === "queue" ? badge : null));
  const rest = h("div", {id: "nav-rest"}, links.slice(FIRST));
  const more = h("button", {id: "nav-more", "aria-expanded": "false", "aria-controls": "nav-rest"}, "More");
  const open = (yes) => {
    rest.classList.toggle("open", yes);
    more.setAttribute("aria-expanded", String(yes));
  };
  more.addEventListener("click", () => open(!rest.classList.contains("open")));
  addEventListener("hashchange", () => open(false));
  document.addEventListener("click", (e) => { if (!byId("nav").contains(e.target)) open(false); });
  byId("nav").addEventListener("keydown", (e) => {
    if (e.key !== "Escape" || !rest.classList.contains("open")) return;
    open(false);
    more.focus();
  });
  fill(byId("nav"), links.slice(0, FIRST), rest, more);
  on((kinds) => {
    if (!kinds.has("queue")) return;
    const n = waitingCount();
    badge.hidden = n === 0;
    text(badge, n > 999 ? "999+" : String(n));
    badge.setAttribute("aria-label", `${n} waiting`);
  });
}

function person() {
  const out = h("button", {class: "btn quiet", id: "logout"}, "Log out");
  out.addEventListener("click", async () => {
    try {
      await del("/api/session");
    } catch (e) {
      if (e.status !== 409) return failed(e);
    }
    localStorage.removeItem("clawrden-csrf");
    sessionStorage.clear();
    location.replace("/login");
  });
  fill(byId("person"), h("p", null, h("bdi", {class: "who"}, me.who), h("span", {class: "role"}, me.role)), out);
}

function connection(state) {
  link.state = state;
  const e = byId("link-state");
  e.dataset.state = state;
  text(e.firstElementChild, {live: "Live", connecting: "Connecting", offline: "Offline"}[state]);
  const banner = byId("banner");
  banner.hidden = state !== "offline";
  if (state === "offline") text(banner, "The warden is not heard. What you see may be old; trying again.");
  document.body.classList.toggle("offline", state === "offline");
  changed("link");
}

async function begin() {
  try {
    Object.assign(me, await get("/api/session"));
  } catch (e) {
    if (e.status === 401) return;
    connection("offline");
    setTimeout(begin, 2000);
    return;
  }
  const back = sessionStorage.getItem("clawrden-back");
  sessionStorage.removeItem("clawrden-back");
  if (back && back.startsWith("#/") && !location.hash) history.replaceState(null, "", back);
  navigation();
  person();
  notify.start();
  addEventListener("hashchange", show);
  feed.start({event: heard, state: connection, gone: toLogin});
  show();
}

begin();
