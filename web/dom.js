// SPDX-License-Identifier: MIT
// Elements and text. Nothing here reads markup: what is given is text, whatever it looks like.

// h("p", {class: "x", onclick: fn, data: {id: 1}}, "text", child, null): properties are attributes, listeners by "on…".
export function h(tag, props, ...children) {
  const e = document.createElement(tag);
  for (const [name, value] of Object.entries(props || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) e.addEventListener(name.slice(2), value);
    else if (name === "data") Object.assign(e.dataset, value);
    else if (name === "value") e.value = value;
    else e.setAttribute(name, value === true ? "" : String(value));
  }
  put(e, children);
  return e;
}

function put(e, children) {
  for (const c of children) {
    if (c === null || c === undefined || c === false) continue;
    if (Array.isArray(c)) put(e, c);
    else e.append(c instanceof Node ? c : String(c));
  }
}

export function fill(e, ...children) {
  e.replaceChildren();
  put(e, children);
  return e;
}

// Writes only what differs, so that a screen reader and a selection are left in peace.
export function text(e, words) {
  if (e.textContent !== words) e.textContent = words;
}

export const byId = (id) => document.getElementById(id);

// The children of `list` become those of `wanted` ([key, make]) in this order; what is there already stays as it is.
export function keyed(list, wanted) {
  const old = new Map([...list.children].map((e) => [e.dataset.key, e]));
  let at = list.firstChild;
  for (const [key, make] of wanted) {
    let e = old.get(key);
    if (e) old.delete(key);
    else {
      e = make();
      e.dataset.key = key;
    }
    if (e === at) at = at.nextSibling;
    else list.insertBefore(e, at);
  }
  for (const e of old.values()) e.remove();
}
