/** The second tab: turns of several voices, each of which has heard the ones before. */

import { announce, byId, copyOf, grow } from "./dom.js";
import { Take } from "./take.js";
import { voices } from "./voices.js";

const FIRST = [
  "Did you hear that? The neighbour plays the piano again.",
  "I did. He has got better, you know. Last week I closed the window.",
  "And today?",
  "Today I opened it.",
];

/** Voices of the first two speakers: the first and the last of the model's own. */
const usual = (index) => {
  const own = voices.list.filter(({ origin }) => origin !== "uploaded");
  return own.at(index % 2 ? -1 : 0)?.id;
};

const turns = () => [...byId("turns").children];

function showSelect(select, chosen) {
  select.replaceChildren(...voices.list.map(({ id, name }) => new Option(name, id)));
  if (chosen && !voices.get(chosen)) select.append(new Option(`${chosen} (gone)`, chosen));
  select.value = chosen ?? "";
  colour(select);
}

const colour = (select) =>
  select.closest(".turn")?.style.setProperty("--hue", voices.hue(select.value));

/** Number the turns anew: what a screen reader calls each of their parts. */
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
  announce(`Now turn ${turns().indexOf(turn) + 1}`);
}

function remove(turn) {
  const next = turn.nextElementSibling ?? turn.previousElementSibling;
  turn.remove();
  renumber();
  next.querySelector("textarea").focus();
  announce("Removed");
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
  const spoken = turns().map((turn) => ({
    voice: turn.querySelector("select").value,
    text: turn.querySelector("textarea").value,
  }));
  const empty = spoken.findIndex(({ text }) => !text.trim());
  if (empty >= 0) {
    turns()[empty].querySelector("textarea").focus();
    throw new Error(`Turn ${empty + 1} has no text.`);
  }
  return {
    path: "v1/audio/dialogue",
    body: { turns: spoken },
    text: spoken.map(({ text }) => text).join(" "),
  };
}

export function start() {
  const take = new Take(byId("dialogue-take"), "Speak it", request);
  FIRST.forEach((text, index) => add(text, usual(index)));
  byId("add-turn").onclick = () => {
    const before = turns().slice(-2)[0];
    const turn = add("", before?.querySelector("select").value || usual(0));
    turn.querySelector("textarea").focus();
  };
  voices.addEventListener("change", () => {
    turns().forEach((turn, index) => {
      const select = turn.querySelector("select");
      showSelect(select, select.value || usual(index));
    });
  });
  return { take, shown: () => turns().forEach((turn) => grow(turn.querySelector("textarea"))) };
}
