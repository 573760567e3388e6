// SPDX-License-Identifier: MIT
// Acts that must be meant: a button that is pressed twice, and a dialog where a word is typed.
import {h} from "./dom.js";

const ARM_MS = 350; // a double click is no second thought
const ARMED_MS = 6000;

// `sure`: what the button says when it is armed. The second press, a moment later, acts.
export function twice(button, sure, act) {
  const words = button.textContent;
  let armedAt = 0, timer = 0;
  const disarm = () => {
    armedAt = 0;
    clearTimeout(timer);
    button.classList.remove("armed");
    button.textContent = words;
  };
  button.addEventListener("click", () => {
    if (!armedAt) {
      armedAt = performance.now();
      button.classList.add("armed");
      button.textContent = sure;
      timer = setTimeout(disarm, ARMED_MS);
    } else if (performance.now() - armedAt > ARM_MS) {
      disarm();
      act();
    }
  });
  button.addEventListener("blur", disarm);
  return button;
}

// Resolves with the fields' values, or null. `word`: must be typed; `fields`: more elements with a name.
export function typed({title, words, word, action, fields = []}) {
  return new Promise((done) => {
    const input = word ? h("input", {id: "typed-word", autocomplete: "off", autocapitalize: "off", spellcheck: "false"}) : null;
    const go = h("button", {class: word ? "btn danger" : "btn primary", disabled: !!word, value: "go"}, action);
    const form = h("form", {method: "dialog"}, h("h2", {id: "typed-title"}, title), h("p", null, words), fields,
      word ? [h("label", {for: "typed-word"}, "Type ", h("code", null, word), " to confirm"), input] : null,
      h("div", {class: "row end"}, h("button", {class: "btn", value: "no", formnovalidate: true, type: "submit"}, "Cancel"), go));
    const dialog = h("dialog", {"aria-labelledby": "typed-title"}, form);
    if (input) input.addEventListener("input", () => { go.disabled = input.value !== word; });
    form.addEventListener("submit", (e) => {
      if (e.submitter && e.submitter.value === "go") dialog.returnValue = "go";
      else if (!e.submitter && go.disabled) e.preventDefault();
    });
    // Enter in the field means the action, never the first button.
    form.addEventListener("keydown", (e) => {
      if (e.key !== "Enter" || e.target.tagName !== "INPUT") return;
      e.preventDefault();
      if (!go.disabled) go.click();
    });
    dialog.addEventListener("close", () => {
      const values = Object.fromEntries(new FormData(form));
      dialog.remove();
      done(dialog.returnValue === "go" ? values : null);
    });
    document.body.append(dialog);
    dialog.showModal();
    (input || form.querySelector("input, select") || go).focus();
  });
}
