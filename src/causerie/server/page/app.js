/** Starts the page: tabs, keyboard shortcuts, theme, API key, and the server's model and voices. */

import * as addVoice from "./add-voice.js";
import * as api from "./api.js";
import * as check from "./check.js";
import * as dialogue from "./dialogue.js";
import { announce, byId, tabs } from "./dom.js";
import { silence } from "./player.js";
import { ask, key } from "./server.js";
import * as speak from "./speak.js";
import * as talk from "./talk.js";
import { voices } from "./voices.js";

const parts = {
  speak: speak.start(),
  dialogue: dialogue.start(),
  talk: talk.start(),
  voices: addVoice.start((voice) => {
    voices.chosen = voice.id;
    choose(byId("tab-speak"), false);
    byId("text").focus();
  }),
  check: check.start(),
  api: api.start(),
};
let shown = "speak";

const choose = tabs(document.querySelector("header [role=tablist]"), (tab) => {
  shown = tab.getAttribute("aria-controls");
  for (const name of Object.keys(parts)) byId(name).hidden = name !== shown;
  parts[shown].shown();
  history.replaceState(null, "", shown === "speak" ? location.pathname : `#${shown}`);
});
if (location.hash.slice(1) in parts) choose(byId(`tab-${location.hash.slice(1)}`), false);

// Shortcuts: Control (or Command) and Enter speaks, Escape stops.
addEventListener("keydown", (event) => {
  if (event.key === "Escape") {
    silence();
  } else if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && parts[shown].take) {
    event.preventDefault();
    parts[shown].take.stop();
    parts[shown].take.run();
  }
});

// Theme: the system's until the user chooses one.
const dark = matchMedia("(prefers-color-scheme: dark)");
const root = document.documentElement;
const isDark = () => (root.dataset.theme ?? (dark.matches ? "dark" : "light")) === "dark";
function applyTheme() {
  byId("theme").setAttribute("aria-pressed", isDark());
  dispatchEvent(new Event("theme"));
}
byId("theme").onclick = () => {
  root.dataset.theme = isDark() ? "light" : "dark";
  try {
    localStorage.setItem("causerie.theme", root.dataset.theme);
  } catch {
    // Storage is disabled: the choice lasts until the user leaves the page.
  }
  applyTheme();
};
dark.addEventListener("change", applyTheme);
applyTheme();

// API key: requested only if the server requires one.
addEventListener("key-required", () => {
  const form = byId("key");
  if (!form.hidden) return;
  form.hidden = false;
  byId("key-field").value = "";
  byId("key-field").focus();
});
byId("key").addEventListener("submit", (event) => {
  event.preventDefault();
  key.set(byId("key-field").value.trim());
  byId("key").hidden = true;
  load();
  dispatchEvent(new Event("key-entered"));
  byId("text").focus();
});

async function load() {
  try {
    await voices.load();
    const [{ id }] = (await (await ask("v1/models")).json()).data;
    parts.api.setModel(id);
    byId("about").textContent = `causerie · ${id}`;
    parts.speak.take.say("");
  } catch (error) {
    parts.speak.take.say(error.message);
    announce(error.message);
  }
}
load();
