/** The Speak tab: text, voice and options. */

import { byId, copyOf, grow } from "./dom.js";
import { Take } from "./take.js";
import { describe, previews, voices } from "./voices.js";

const TEXTS = [
  "Hello! It's nice to meet you. Every word you hear is being made right now, and you are already listening while I think of the rest.",
  "The rain had stopped, and the whole street smelled of bread. She closed her umbrella, crossed to the bakery, and stayed for an hour.",
  "Good morning. It is eighteen degrees outside, your first meeting is at half past nine, and somebody has finished the milk.",
  "Would you like to go for a walk? We could take the long way along the river, and talk about nothing at all.",
  "Once there was a lighthouse keeper who wrote a letter to the sea every night. One night, the sea wrote back.",
];

let take;
let text = 0;

/** The body of the current request, without the format. */
export function settings() {
  const body = { input: byId("text").value, voice: voices.chosen };
  const temperature = byId("temperature");
  const speed = byId("speed");
  if (temperature.dataset.touched) body.temperature = Number(temperature.value);
  if (Number(speed.value) !== 1) body.speed = Number(speed.value);
  if (byId("seed").value !== "") body.seed = Number(byId("seed").value);
  return body;
}

function request() {
  const body = settings();
  if (!body.input.trim()) {
    byId("text").focus();
    throw new Error("Enter some text first.");
  }
  if (!byId("seed").checkValidity()) {
    throw new Error("The seed must be a whole number from 0 to 4294967295.");
  }
  return { path: "v1/audio/speech", body, text: body.input, speed: body.speed };
}

/** Show the voices to choose from. */
function showVoices() {
  const grid = byId("speak-voices");
  const focused = grid.contains(document.activeElement) ? document.activeElement.id : "";
  grid.replaceChildren(
    ...voices.list.map((voice) => {
      const card = copyOf("voice");
      const radio = card.querySelector("input");
      Object.assign(radio, { name: "voice", value: voice.id, id: `voice-${voice.id}` });
      radio.checked = voice.id === voices.chosen;
      radio.onchange = () => (voices.chosen = voice.id);
      card.querySelector(".name").textContent = voice.name;
      card.querySelector(".hint").textContent = describe(voice);
      card.classList.toggle("builtin", voice.origin !== "uploaded");
      previews(card.querySelector(".orb"), voice, (message) => take.say(message));
      return card;
    }),
  );
  if (focused) byId(focused)?.focus();
}

function showChosen() {
  for (const radio of byId("speak-voices").querySelectorAll("input")) {
    radio.checked = radio.value === voices.chosen;
  }
}

/** Pulse the circle of the chosen voice with the level of the audio. */
function pulse(level) {
  const radio = byId("speak-voices").querySelector("input:checked");
  radio?.closest(".voice").style.setProperty("--level", level.toFixed(3));
}

function knob(id, unit) {
  const input = byId(id);
  const output = document.querySelector(`output[for=${id}]`);
  const show = () => {
    output.textContent = input.dataset.touched ? `${Number(input.value).toFixed(2)}${unit}` : "default";
  };
  input.addEventListener("input", () => {
    input.dataset.touched = "yes";
    show();
  });
  input.addEventListener("dblclick", () => {
    input.value = input.defaultValue;
    delete input.dataset.touched;
    show();
  });
  show();
}

export function start() {
  const box = byId("text");
  const count = () => {
    grow(box);
    byId("count").textContent = `${box.value.length} characters`;
  };
  box.addEventListener("input", count);
  byId("another").onclick = () => {
    text = (text + 1) % TEXTS.length;
    box.value = TEXTS[text];
    box.dispatchEvent(new Event("input"));
  };
  knob("temperature", "");
  knob("speed", " ×");

  const keep = byId("keep-seed");
  take = new Take(byId("speak-take"), "Speak", request, {
    onLevel: pulse,
    onSeed: (seed) => {
      keep.hidden = byId("seed").value !== "";
      keep.title = `Use seed ${seed} again`;
      keep.onclick = () => {
        byId("seed").value = seed;
        keep.hidden = true;
        byId("seed").focus();
      };
    },
  });
  voices.addEventListener("change", showVoices);
  voices.addEventListener("chosen", showChosen);
  count();
  return { take, shown: () => grow(box) };
}
