/** The Dialogue tab: turns in several voices, each with the turns before it as context. */

import { announce, byId, copyOf, grow } from "./dom.js";
import { Take } from "./take.js";
import { listIn, voices } from "./voices.js";

const FIRST = [
  "Did you hear that? The neighbour plays the piano again.",
  "I did. He has got better, you know. Last week I closed the window.",
  "And today?",
  "Today I opened it.",
];

/** The default voice of a turn: alternately the first and the last built-in voice. */
const defaultVoice = (index) => {
  const builtin = voices.list.filter(({ origin }) => origin !== "uploaded");
  return builtin.at(index % 2 ? -1 : 0)?.id;
};

const turns = () => [...byId("turns").children];

function showSelect(select, chosen) {
  listIn(select, chosen);
  colour(select);
}

const colour = (select) =>
  select.closest(".turn")?.style.setProperty("--hue", voices.hue(select.value));

/** Update the turn numbers in the labels for screen readers, and the disabled buttons. */
function renumber() {
  const all = turns();
  all.forEach((turn, index) => {
    const name = (part, label) => turn.querySelector(part).setAttribute("aria-label", label);
    name("select", `Voice of turn ${index + 1}`);
    name("textarea", `Text of turn ${index + 1}`);
    name(".up", `Move turn ${index + 1} up`);
    name(".down", `Move turn ${index + 1} down`);
    name(".remove", `Remove turn ${index + 1}`);
    turn.querySelector(".up").disabled = index === 0;
    turn.querySelector(".down").disabled = index === all.length - 1;
    turn.querySelector(".remove").disabled = all.length === 1;
  });
}

function move(turn, by, button) {
  if (by < 0) turn.previousElementSibling.before(turn);
  else turn.nextElementSibling.after(turn);
  renumber();
  (button.disabled ? turn.querySelector(by < 0 ? ".down" : ".up") : button).focus();
  announce(`Moved to turn ${turns().indexOf(turn) + 1}`);
}

function remove(turn) {
  const next = turn.nextElementSibling ?? turn.previousElementSibling;
  turn.remove();
  renumber();
  next.querySelector("textarea").focus();
  announce("Turn removed");
}

function add(text, voice) {
  const turn = copyOf("turn");
  byId("turns").append(turn);
  const select = turn.querySelector("select");
  const box = turn.querySelector("textarea");
  showSelect(select, voice);
  select.onchange = () => colour(select);
  box.value = text;
  box.addEventListener("input", () => grow(box));
  turn.querySelector(".up").onclick = (event) => move(turn, -1, event.currentTarget);
  turn.querySelector(".down").onclick = (event) => move(turn, 1, event.currentTarget);
  turn.querySelector(".remove").onclick = () => remove(turn);
  renumber();
  grow(box);
  return turn;
}

function request() {
  const script = turns().map((turn) => ({
    voice: turn.querySelector("select").value,
    text: turn.querySelector("textarea").value,
  }));
  const empty = script.findIndex(({ text }) => !text.trim());
  if (empty >= 0) {
    turns()[empty].querySelector("textarea").focus();
    throw new Error(`Turn ${empty + 1} is empty: enter text or remove the turn.`);
  }
  return {
    path: "v1/audio/dialogue",
    body: { turns: script },
    text: script.map(({ text }) => text).join(" "),
  };
}

export function start() {
  const take = new Take(byId("dialogue-take"), "Speak", request);
  FIRST.forEach((text, index) => add(text, defaultVoice(index)));
  byId("add-turn").onclick = () => {
    const before = turns().slice(-2)[0];
    const turn = add("", before?.querySelector("select").value || defaultVoice(0));
    turn.querySelector("textarea").focus();
  };
  voices.addEventListener("change", () => {
    turns().forEach((turn, index) => {
      const select = turn.querySelector("select");
      showSelect(select, select.value || defaultVoice(index));
    });
  });
  return { take, shown: () => turns().forEach((turn) => grow(turn.querySelector("textarea"))) };
}
