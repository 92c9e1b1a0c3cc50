/** The API tab: programs to copy, with the text and voice of the Speak tab. */

import { announce, byId, tabs } from "./dom.js";
import { BASE, key } from "./server.js";
import { snippets } from "./snippets.js";
import { settings } from "./speak.js";
import { voices } from "./voices.js";

let chosen = "curl";
let model = "petit";

/** Pattern of comments by language. */
const COMMENT = { shell: "#.*", python: "#.*", yaml: "#.*", javascript: "//.*" };
const WORDS =
  "import|from|as|with|await|async|const|new|def|class|return|for|in|if|None|True|False|curl|export";

/** Code as nodes, with elements around strings, keywords, comments and YAML keys. */
function highlighted(code, language) {
  const pattern = new RegExp(
    `("(?:[^"\\\\]|\\\\.)*"|'(?:[^']|'\\\\'')*')|(${COMMENT[language]})|\\b(${WORDS})\\b|^([ \\w]+:)(?= |$)`,
    "gm",
  );
  const parts = [];
  let end = 0;
  for (const match of code.matchAll(pattern)) {
    const kind = ["string", "comment", "word", "field"][match.slice(1).findIndex(Boolean)];
    if (kind === "field" && language !== "yaml") continue;
    if (kind === "comment" && language === "shell" && match.index && code[match.index - 1] !== " ") continue;
    const span = document.createElement("span");
    span.className = kind;
    span.textContent = match[0];
    parts.push(code.slice(end, match.index), span);
    end = match.index + match[0].length;
  }
  return [...parts, code.slice(end)];
}

/** All programs, for the current text, voice and options. */
function currentSnippets() {
  const { input, voice, ...extra } = settings();
  return snippets({
    base: BASE.href,
    text: input.trim() || "Hello!",
    voice: voice ?? "heart",
    model,
    extra,
    key: Boolean(key.get()),
  });
}

function show() {
  const { id, note, language, code } = currentSnippets().find((snippet) => snippet.id === chosen);
  byId("snippet-note").textContent = note;
  byId("snippet-code").replaceChildren(...highlighted(code, language));
  byId("snippet").setAttribute("aria-labelledby", `kind-${id}`);
}

async function copy() {
  const label = byId("copy").querySelector("span");
  const { code } = currentSnippets().find((snippet) => snippet.id === chosen);
  try {
    await navigator.clipboard.writeText(code);
  } catch {
    // Without https, pages cannot use the clipboard: select the code for the user to copy.
    getSelection().selectAllChildren(byId("snippet-code"));
    announce("Code selected: press Control and C to copy");
    label.textContent = "Press Ctrl+C";
    return;
  }
  label.textContent = "Copied";
  setTimeout(() => (label.textContent = "Copy"), 1600);
}

export function start() {
  const list = byId("kinds");
  list.append(
    ...currentSnippets().map(({ id, name }) => {
      const tab = document.createElement("button");
      Object.assign(tab, { id: `kind-${id}`, textContent: name, tabIndex: -1 });
      tab.setAttribute("role", "tab");
      tab.setAttribute("aria-controls", "snippet");
      return tab;
    }),
  );
  const choose = tabs(list, (tab) => {
    chosen = tab.id.replace("kind-", "");
    show();
  });
  choose(byId(`kind-${chosen}`), false);
  byId("copy").onclick = copy;
  voices.addEventListener("chosen", show);
  return {
    shown: show,
    setModel: (name) => {
      model = name;
      show();
    },
  };
}
