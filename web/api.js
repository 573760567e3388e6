// SPDX-License-Identifier: MIT
// Calls to the warden. A refusal is an ApiError with the warden's own words; without a login the page goes to /login.

export class ApiError extends Error {
  constructor(status, code, message) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

async function call(method, path, body) {
  const headers = {};
  if (body !== undefined) headers["Content-Type"] = "application/json";
  if (method !== "GET") headers["X-CSRF-Token"] = localStorage.getItem("clawrden-csrf") || "";
  let answer;
  try {
    answer = await fetch(path, {method, headers, body: body === undefined ? undefined : JSON.stringify(body), credentials: "same-origin"});
  } catch {
    throw new ApiError(0, "offline", "The warden does not answer.");
  }
  if (answer.status === 401) {
    toLogin();
    throw new ApiError(401, "unauthorized", "You are logged out.");
  }
  const json = (answer.headers.get("Content-Type") || "").startsWith("application/json");
  const said = json ? await answer.json() : await answer.text();
  if (answer.ok) return said;
  const error = (json && said.error) || {};
  throw new ApiError(answer.status, error.code || "unknown", error.message || `The warden answered ${answer.status}.`);
}

export const get = (path) => call("GET", path);
export const post = (path, body) => call("POST", path, body);
export const del = (path) => call("DELETE", path);

export function toLogin() {
  sessionStorage.setItem("clawrden-back", location.hash);
  location.replace("/login");
}

// {a: "x", b: ""} is "?a=x"; what is empty is left out.
export function query(params) {
  const q = new URLSearchParams();
  for (const [k, v] of Object.entries(params)) if (v !== "" && v !== null && v !== undefined) q.set(k, v);
  const s = q.toString();
  return s ? "?" + s : "";
}
