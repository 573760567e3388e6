// SPDX-License-Identifier: MIT
// A table that is read as cards on a phone: each cell then says which column it is of. The roles are what the layout
// there would take from a screen reader.
import {h} from "./dom.js";

// `columns`: [title, class]; a title of "" is that of the buttons. What a row begins with is its heading if `headed`.
// `element` holds `body`, which the rows that `row(cells...)` makes belong into.
export function makeTable(label, columns, headed = false) {
  const body = h("tbody", {role: "rowgroup"});
  const titles = columns.map(([title, kind]) => h("th", {scope: "col", role: "columnheader", class: kind || false}, title || h("span", {class: "sr"}, "Act")));
  const element = h("div", {class: "scroll", tabindex: "0", role: "region", "aria-label": label},
    h("table", {role: "table"}, h("thead", {role: "rowgroup"}, h("tr", {role: "row"}, titles)), body));
  const cell = (content, i) => h(headed && i === 0 ? "th" : "td", {role: headed && i === 0 ? "rowheader" : "cell", scope: headed && i === 0 ? "row" : false, class: columns[i][1] || false, data: {label: columns[i][0]}}, h("div", null, content));
  return {element, body, row: (...cells) => h("tr", {role: "row"}, cells.map(cell))};
}
