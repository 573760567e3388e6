// SPDX-License-Identifier: MIT
// A browser that takes orders: one JSON line {"code": "..."} in, one {"value"} or {"error"} out. The code is the body of
// an async function of (page, pages, context, browser, axe, args); what it keeps in `pages` is there the next time.
"use strict";
const fs = require("fs");
const path = require("path");
const readline = require("readline");

const modules = process.argv[2];
const {chromium} = require(path.join(modules, "playwright-core"));
const axe = fs.readFileSync(path.join(modules, "axe-core", "axe.min.js"), "utf8");
const AsyncFunction = (async () => {}).constructor;

async function main() {
  const browser = await chromium.launch({executablePath: process.argv[3], args: ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"]});
  const pages = {};
  const answer = (o) => process.stdout.write(JSON.stringify(o) + "\n");
  answer({value: browser.version()});
  for await (const line of readline.createInterface({input: process.stdin})) {
    const {code, args} = JSON.parse(line);
    try {
      const value = await new AsyncFunction("pages", "browser", "axe", "args", code)(pages, browser, axe, args);
      answer({value: value === undefined ? null : value});
    } catch (e) {
      answer({error: String(e.stack || e)});
    }
  }
  await browser.close();
}
main().then(() => process.exit(0), (e) => { console.error(e); process.exit(1); });
