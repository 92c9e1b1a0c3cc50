/**
 * Shows the lines of a conversation.
 *
 * Screen readers read the log as it grows. A line comes into it when it is complete, so that it is
 * read once; until then it is below the log.
 */

import { byId, copyOf } from "./dom.js";
import { voices } from "./voices.js";

const seconds = (value) => `${value.toFixed(2)} s`;

/** The latency in words, with its parts if the server says them. */
function figures({ latency, parts }) {
  if (latency === undefined) return "";
  const named = Object.entries(parts ?? {})
    .filter(([, ms]) => ms)
    .map(([name, ms]) => `${name} ${seconds(ms / 1000)}`);
  return `you stopped → first sound ${seconds(latency)}${named.length ? ` (${named.join(", ")})` : ""}`;
}

export class TalkLog {
  #elements = new Map();
  #done = byId("talk-said");
  #open = byId("talk-now");

  /** Begin a new conversation; a rule parts it from the one before it. */
  begin() {
    this.#elements.clear();
  }

  /** @param {import("./conversation.js").Line} line new or changed */
  show(line) {
    const box = byId("talk-lines");
    const isAtEnd = box.scrollHeight - box.scrollTop - box.clientHeight < 40;
    const element = this.#elements.get(line.id) ?? this.#add(line);
    element.querySelector(".words").textContent = line.text || (line.isOpen ? "…" : line.voice ? "" : "(no words)");
    element.querySelector(".cut").hidden = !line.isCut;
    element.querySelector(".figures").textContent = figures(line);
    if (!line.isOpen && element.parentElement !== this.#done) this.#done.append(element);
    if (isAtEnd) box.scrollTop = box.scrollHeight;
  }

  #add({ id, voice }) {
    const isFirst = !this.#elements.size;
    if (isFirst && this.#done.children.length) this.#done.append(document.createElement("hr"));
    const element = copyOf("line");
    element.classList.add(voice ? "theirs" : "yours");
    element.querySelector(".name").textContent = voice ? voices.name(voice) : "You";
    if (voice) element.style.setProperty("--hue", voices.hue(voice));
    this.#elements.set(id, element);
    this.#open.append(element);
    return element;
  }
}
