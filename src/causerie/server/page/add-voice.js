/** The Voices tab: adds voices from recordings, with consent, and lists all voices. */

import { announce, byId, copyOf, fileName, grow, setIcon } from "./dom.js";
import { MicrophoneError } from "./microphone.js";
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
const MIN_SECONDS = 3;
const MAX_SECONDS = 60;

const player = new Player();
let wave;
let sample; // {samples, blob, name}
let recording; // result of `record` while it runs
let sentence = 0;

const showError = (message) => (byId("add-error").textContent = message);

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

/** Use samples as the recording to add. */
function setSample(samples, blob, name) {
  sample = { samples, blob, name };
  player.begin();
  player.push(samples); // only to measure the waveform: stop() comes before any sound
  player.stop();
  showSample();
}

/** A recording without the silence before and after the speech. */
function trimmed(samples) {
  const quiet = 0.02;
  const margin = SAMPLE_RATE / 5;
  const first = samples.findIndex((x) => Math.abs(x) > quiet);
  const last = samples.findLastIndex((x) => Math.abs(x) > quiet);
  if (first < 0) return samples;
  return samples.slice(Math.max(0, first - margin), last + margin);
}

async function toggleRecording() {
  showError("");
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
    setSample(samples, toWav(samples), "Recording");
    if (!byId("transcript").value) byId("transcript").value = SENTENCES[sentence];
    grow(byId("transcript"));
    announce(byId("sample-state").textContent);
    return;
  }
  player.stop();
  const levels = [];
  try {
    recording = await record((level, seconds) => {
      levels.push(level);
      const steps = Math.max(1, Math.round(seconds * 100));
      // One peak for each 10 ms so far.
      const peaks = Array.from({ length: steps }, (_, i) => levels[Math.floor((i * levels.length) / steps)]);
      wave.draw({ peaks, duration: seconds, position: seconds, expected: Math.max(10, seconds) }, true);
      byId("sample-state").textContent = `Recording · ${seconds.toFixed(1)} s`;
      if (seconds > MAX_SECONDS) toggleRecording();
    });
    label("Stop", "stop");
    button.classList.add("stopping");
  } catch (error) {
    showError(error instanceof MicrophoneError ? `${error.message} Or choose a file.` : error.message);
  }
}

async function chooseFile() {
  showError("");
  const [file] = byId("file").files;
  if (!file) return;
  try {
    const samples = await decode(await file.arrayBuffer());
    setSample(samples, file, file.name);
  } catch {
    sample = undefined;
    showSample();
    showError(`The browser cannot read ${file.name}: choose another audio file.`);
    return;
  }
  byId("voice-name").value ||= fileName(file.name.replace(/\.\w+$/, ""));
  byId("transcript").focus();
}

/** The first missing input as [message, element id], or undefined. */
function missing() {
  if (!sample) return ["Record the text or choose a file first.", "record"];
  if (sample.samples.length < MIN_SECONDS * SAMPLE_RATE) {
    return [`The recording is too short: it needs at least ${MIN_SECONDS} seconds.`, "record"];
  }
  if (!byId("transcript").value.trim()) return ["Enter the transcript of the recording.", "transcript"];
  if (!byId("voice-name").value.trim()) return ["Enter a name for the voice.", "voice-name"];
  if (!byId("consent").checked) return ["Confirm that the speaker consents.", "consent"];
  return undefined;
}

async function add(event) {
  event.preventDefault();
  const problem = missing();
  showError(problem?.[0] ?? "");
  if (problem) {
    byId(problem[1]).focus();
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
    grow(byId("transcript"));
    player.begin();
    player.stop();
    sentence = (sentence + 1) % SENTENCES.length;
    byId("read-this").textContent = SENTENCES[sentence];
    showSample();
    announce(`${name} was added`);
    byId(`listed-${voice.id}`)?.querySelector(".use").focus();
  } catch (error) {
    showError(error.message);
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
      enableDelete(item.querySelector(".delete"), voice, report);
      return item;
    }),
  );
}

/** Make a button delete an uploaded voice at the second click. */
function enableDelete(button, voice, report) {
  button.hidden = voice.origin !== "uploaded";
  button.setAttribute("aria-label", `Delete ${voice.name}`);
  button.title = `Delete ${voice.name}`;
  const reset = () => {
    button.classList.remove("sure");
    button.setAttribute("aria-label", `Delete ${voice.name}`);
  };
  button.onblur = reset;
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
      reset();
      report(error.message);
    }
  };
}

/** @param {(voice: object) => void} use called with the voice to use */
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
  byId("transcript").addEventListener("input", (event) => grow(event.target));
  byId("add-voice").addEventListener("submit", add);
  voices.addEventListener("change", () => showList(use));
  return { shown: draw };
}
