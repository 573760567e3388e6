// SPDX-License-Identifier: MIT
// What differs between two texts, line by line: [["", line] | ["old", line] | ["new", line]], unchanged stretches in short.
const NEAR = 2;

export function changes(before, after) {
  const a = before.split("\n"), b = after.split("\n");
  let head = 0;
  while (head < a.length && head < b.length && a[head] === b[head]) head++;
  let tail = 0;
  while (tail < a.length - head && tail < b.length - head && a[a.length - 1 - tail] === b[b.length - 1 - tail]) tail++;
  const x = a.slice(head, a.length - tail), y = b.slice(head, b.length - tail);
  const out = a.slice(Math.max(0, head - NEAR), head).map((l) => ["", l]);
  // The longest common part by a table, unless it would be large: then all of it is old and new.
  if (x.length * y.length > 4e5) out.push(...x.map((l) => ["old", l]), ...y.map((l) => ["new", l]));
  else {
    const t = Array.from({length: x.length + 1}, () => new Uint16Array(y.length + 1));
    for (let i = x.length - 1; i >= 0; i--) for (let j = y.length - 1; j >= 0; j--) t[i][j] = x[i] === y[j] ? t[i + 1][j + 1] + 1 : Math.max(t[i + 1][j], t[i][j + 1]);
    let i = 0, j = 0;
    while (i < x.length || j < y.length) {
      if (i < x.length && j < y.length && x[i] === y[j]) out.push(["", x[i++]]), j++;
      else if (i < x.length && (j >= y.length || t[i + 1][j] >= t[i][j + 1])) out.push(["old", x[i++]]);
      else out.push(["new", y[j++]]);
    }
  }
  out.push(...a.slice(a.length - tail, a.length - tail + NEAR).map((l) => ["", l]));
  return out;
}
