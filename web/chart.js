// SPDX-License-Identifier: MIT
// A chart over time by uPlot, in the page's colours, as wide as its place.
import uPlot from "./uPlot.esm.js";
import {h} from "./dom.js";

const HEIGHT = 180;
const dark = matchMedia("(prefers-color-scheme: dark)");
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

// `data`: arrays by name, with "t" in seconds; `series`: [name, label, custom property of its colour].
export function makeChart(parent, title, data, series) {
  const place = h("div");
  const box = h("section", {class: "panel chart", "aria-label": title}, h("h2", null, title), place);
  parent.append(box);
  let plot = null;
  const rows = () => [data.t, ...series.map(([k]) => data[k])];
  const width = () => Math.max(200, place.clientWidth || 400);

  function make() {
    if (plot) plot.destroy();
    const axis = {stroke: colour("--soft"), grid: {stroke: colour("--line"), width: 1}, ticks: {show: false}, font: "12px system-ui"};
    plot = new uPlot({width: width(), height: HEIGHT, cursor: {drag: {x: false, y: false}}, scales: {y: {range: (u, low, high) => [0, high > 0 ? high * 1.15 : 1]}},
      axes: [{...axis}, {...axis, size: 48}], series: [{label: "time"}, ...series.map(([, label, c], i) => ({label, stroke: colour(c), width: 2, dash: i ? [6 - i, 3] : undefined, points: {show: false}}))]}, rows(), place);
  }
  make();
  const sized = new ResizeObserver(() => plot.setSize({width: width(), height: HEIGHT}));
  sized.observe(box);
  dark.addEventListener("change", make);
  return {
    draw: () => plot.setData(rows()),
    end: () => { sized.disconnect(); dark.removeEventListener("change", make); plot.destroy(); },
  };
}
