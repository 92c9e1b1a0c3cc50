/** The third tab: voices of one's own, recorded or from a file, with consent; and all there are. */

import { announce, byId, copyOf, fileName, setIcon } from "./dom.js";
import { Player } from "./player.js";
import { decode, record } from "./recorder.js";
import { SAMPLE_RATE, ask, toWav } from "./server.js";
import { describe, previews, voices } from "./voices.js";
import { Wave } from "./wave.js";

const SENTENCES = [
  "The sun came out after the storm, and we walked along the beach until it was almost dark. I have never seen so many birds at once.",
  "My grandmother kept a garden behind the house. In summer she gave away more tomatoes than she could eat, and nobody ever said no.",
  "I usually take the early train, because it is quiet and the light is good. By the time we reach the city, I have read half my book.",
];
const SHORTEST = 3; // seconds
const LONGEST = 60;

const player = new Player();
let wave;
let sample; // {samples, blob, name}
let recording; // what `record` returned, while it runs
let sentence = 0;

const complain = (message) => (byId("add-error").textContent = message);

function showSample() {
  const seconds = sample ? sample.samples.length / SAMPLE_RATE : 0;
  byId("hear-sample").hidden = !sample;
  byId("sample-state").textContent = sample ? `${sample.name} · ${seconds.toFixed(1)} s` : "";
  draw();
}

function draw() {
  const { peaks, duration, position } = player;
  wave.draw({ peaks, duration, position: player.playing ? position : duration, expected: duration || 10 }, true);
  if (player.playing) requestAnimationFrame(draw);
}

/** Take samples as the recording that is to be added. */
function keep(samples, blob, name) {
  sample = { samples, blob, name };
  player.begin();
  player.push(samples); // measured for the picture, and silenced before it sounds
  player.stop();
  showSample();
}

/** The end of a recording: what came before and after the speech goes. */
function trimmed(samples) {
  const quiet = 0.02;
  const margin = SAMPLE_RATE / 5;
  const first = samples.findIndex((x) => Math.abs(x) > quiet);
  const last = samples.findLastIndex((x) => Math.abs(x) > quiet);
  if (first < 0) return samples;
  return samples.slice(Math.max(0, first - margin), last + margin);
}

async function toggleRecording() {
  complain("");
  const button = byId("record");
  const label = (text, icon) => {
    button.querySelector("span").textContent = text;
    setIcon(button, icon);
  };
  if (recording) {
    const { stop } = recording;
    recording = undefined;
    label("Record again", "mic");
    button.classList.remove("stopping");
    const samples = trimmed(await stop());
    keep(samples, toWav(samples), "recording");
    if (!byId("transcript").value) byId("transcript").value = SENTENCES[sentence];
    announce(byId("sample-state").textContent);
    return;
  }
  player.stop();
  const levels = [];
  try {
    recording = await record((level, seconds) => {
      levels.push(level);
      const steps = Math.max(1, Math.round(seconds * 100));
      // As many peaks of 10 ms as the time that has passed.
      const peaks = Array.from({ length: steps }, (_, i) => levels[Math.floor((i * levels.length) / steps)]);
      wave.draw({ peaks, duration: seconds, position: seconds, expected: Math.max(10, seconds) }, true);
      byId("sample-state").textContent = `recording · ${seconds.toFixed(1)} s`;
      if (seconds > LONGEST) toggleRecording();
    });
    label("Stop", "stop");
    button.classList.add("stopping");
  } catch (error) {
    complain(error.message);
  }
}

async function chooseFile() {
  complain("");
  const [file] = byId("file").files;
  if (!file) return;
  try {
    const samples = await decode(await file.arrayBuffer());
    keep(samples, file, file.name);
  } catch {
    sample = undefined;
    showSample();
    complain(`${file.name} is no sound that the browser can read.`);
    return;
  }
  byId("voice-name").value ||= fileName(file.name.replace(/\.\w+$/, ""));
  byId("transcript").focus();
}

/** What is missing, as [words, element], or nothing. */
function missing() {
  if (!sample) return ["There is no recording yet: record one, or choose a file.", "record"];
  if (sample.samples.length < SHORTEST * SAMPLE_RATE) {
    return [`The recording is too short: ${SHORTEST} seconds are the least.`, "record"];
  }
  if (!byId("transcript").value.trim()) return ["Write down what is said in the recording.", "transcript"];
  if (!byId("voice-name").value.trim()) return ["Give the voice a name.", "voice-name"];
  if (!byId("consent").checked) return ["Without consent no voice can be added: tick the box if there is one.", "consent"];
  return undefined;
}

async function add(event) {
  event.preventDefault();
  const lack = missing();
  complain(lack?.[0] ?? "");
  if (lack) {
    byId(lack[1]).focus();
    return;
  }
  const body = new FormData();
  const name = byId("voice-name").value.trim();
  body.set("name", name);
  body.set("ref_text", byId("transcript").value.trim());
  body.set("consent_attested", "true");
  body.set("audio_sample", sample.blob, sample.blob.name ?? "recording.wav");
  const button = byId("add");
  button.disabled = true;
  try {
    const voice = await (await ask("v1/audio/voices", { method: "POST", body })).json();
    await voices.load();
    sample = undefined;
    event.target.reset();
    player.begin();
    player.stop();
    sentence = (sentence + 1) % SENTENCES.length;
    byId("read-this").textContent = SENTENCES[sentence];
    showSample();
    announce(`${name} was added`);
    byId(`listed-${voice.id}`)?.querySelector(".use").focus();
  } catch (error) {
    complain(error.message);
  }
  button.disabled = false;
}

function showList(use) {
  byId("voice-list").replaceChildren(
    ...voices.list.map((voice) => {
      const item = copyOf("listed");
      item.id = `listed-${voice.id}`;
      const report = (message) => (byId("list-error").textContent = message);
      item.querySelector(".name").textContent = voice.name;
      item.querySelector(".hint").textContent = describe(voice);
      item.classList.toggle("builtin", voice.origin !== "uploaded");
      previews(item.querySelector(".orb"), voice, report);
      const button = item.querySelector(".use");
      button.setAttribute("aria-label", `Use ${voice.name}`);
      button.onclick = () => use(voice);
      forget(item.querySelector(".delete"), voice, report);
      return item;
    }),
  );
}

/** A button that deletes an added voice, at the second click. */
function forget(button, voice, report) {
  button.hidden = voice.origin !== "uploaded";
  button.setAttribute("aria-label", `Delete ${voice.name}`);
  button.title = `Delete ${voice.name}`;
  const calm = () => {
    button.classList.remove("sure");
    button.setAttribute("aria-label", `Delete ${voice.name}`);
  };
  button.onblur = calm;
  button.onclick = async () => {
    if (!button.classList.contains("sure")) {
      button.classList.add("sure");
      button.setAttribute("aria-label", `Really delete ${voice.name}?`);
      announce(`Press again to delete ${voice.name}`);
      return;
    }
    report("");
    try {
      await ask(`v1/audio/voices/${encodeURIComponent(voice.id)}`, { method: "DELETE" });
      await voices.load();
      announce(`${voice.name} was deleted`);
      byId("voice-list").querySelector(".use")?.focus();
    } catch (error) {
      calm();
      report(error.message);
    }
  };
}

/** @param {(voice: object) => void} use called with the voice that is to speak next */
export function start(use) {
  wave = new Wave(byId("sample-wave"));
  player.addEventListener("change", () => {
    const button = byId("hear-sample");
    setIcon(button, player.playing ? "stop" : "play");
    draw();
  });
  byId("read-this").textContent = SENTENCES[sentence];
  byId("record").onclick = toggleRecording;
  byId("file").onchange = chooseFile;
  byId("hear-sample").onclick = () => (player.playing ? player.stop() : player.play(0));
  byId("add-voice").addEventListener("submit", add);
  voices.addEventListener("change", () => showList(use));
  return { shown: draw };
}
