// SPDX-License-Identifier: MIT
// Turns a link, a password or a token into a session. The token against other pages' requests is kept where only
// pages of this very address can read it.
const words = document.getElementById("words");

async function login(body) {
  words.textContent = "One moment …";
  let answer;
  try {
    answer = await fetch("/api/login", {
      method: "POST", headers: {"Content-Type": "application/json"}, body: JSON.stringify(body), credentials: "same-origin",
    });
  } catch {
    words.textContent = "The warden does not answer.";
    return;
  }
  const said = await answer.json().catch(() => ({}));
  if (!answer.ok) {
    words.textContent = said.error ? said.error.message : "The warden's answer is not understood.";
    return;
  }
  localStorage.setItem("clawrden-csrf", said.csrf);
  words.textContent = `You are logged in as ${said.who}, ${said.role}.`;
  document.body.classList.add("done");
  location.replace("/");
}

document.getElementById("by-password").addEventListener("submit", (event) => {
  event.preventDefault();
  const form = event.target;
  login({user: form.elements.username.value, password: form.elements.password.value});
});
document.getElementById("by-token").addEventListener("submit", (event) => {
  event.preventDefault();
  login({token: event.target.elements.token.value.trim()});
});
fetch("/api/login").then((a) => a.json()).then((said) => {
  document.getElementById("sso").hidden = !said.ways.includes("oidc");
  document.getElementById("by-password").hidden = !said.ways.includes("password");
}).catch(() => {});
function byLink() {
  const link = location.hash.slice(1);
  if (!link) return;
  history.replaceState(null, "", "/login"); // or it would stay in the browser's history
  login({link});
}
addEventListener("hashchange", byLink); // pasted where this page is open already
byLink();
