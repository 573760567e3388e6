// SPDX-License-Identifier: MIT
// Times for people, and one clock for all that counts.
export function span(ms) {
  const s = Math.max(0, Math.round(ms / 1000));
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)}:${String(s % 60).padStart(2, "0")} min`;
  if (s < 86400) return `${Math.floor(s / 3600)} h ${String(Math.floor(s / 60) % 60).padStart(2, "0")} min`;
  return `${Math.floor(s / 86400)} d ${Math.floor(s / 3600) % 24} h`;
}

export function short(ms) {
  if (ms === null || ms === undefined) return "";
  if (ms < 1000) return `${Math.round(ms)} ms`;
  return ms < 60000 ? `${(ms / 1000).toFixed(1)} s` : span(ms);
}

export function clock(iso) {
  if (!iso) return "";
  const d = new Date(iso);
  const time = d.toLocaleTimeString([], {hour12: false});
  return d.toDateString() === new Date().toDateString() ? time : `${d.toLocaleDateString([], {day: "numeric", month: "short"})} ${time}`;
}

// The moment that a UUIDv7 was made.
export const idTime = (id) => new Date(parseInt(id.replaceAll("-", "").slice(0, 12), 16));

const ticks = new Set();
setInterval(() => { if (!document.hidden) for (const fn of ticks) fn(); }, 500);
document.addEventListener("visibilitychange", () => { if (!document.hidden) for (const fn of ticks) fn(); });
export function everyTick(fn) {
  ticks.add(fn);
  return () => ticks.delete(fn);
}
