/** One player of generated speech: button, waveform, statistics and downloads. */

import { announce, fill, fileName, save, setIcon } from "./dom.js";
import { Player } from "./player.js";
import { ask, speech, toWav } from "./server.js";
import { Wave } from "./wave.js";

const SECONDS_PER_CHARACTER = 0.065; // estimates the duration until it is known

const statistic = (value, unit) => {
  const strong = document.createElement("b");
  strong.textContent = value;
  return [strong, ` ${unit}`];
};

export class Take {
  player = new Player();
  #root;
  #label;
  #makeRequest;
  #callbacks;
  #abort;
  #wave;
  #made; // the request behind the current audio
  #drawing = false;
  #isUnauthorized = false;

  /**
   * @param {HTMLElement} root element to fill
   * @param {string} label of the button
   * @param {() => {path: string, body: object, text: string, speed?: number}} makeRequest returns
   *   the request, or throws an Error with a message for the user
   * @param {{onLevel?: (level: number) => void, onSeed?: (seed: number) => void}} callbacks
   */
  constructor(root, label, makeRequest, callbacks = {}) {
    this.#root = fill(root, "take");
    this.#label = label;
    this.#makeRequest = makeRequest;
    this.#callbacks = callbacks;
    this.#wave = new Wave(this.#find("canvas"));
    this.#find(".go").onclick = () => this.toggle();
    this.#find(".again").onclick = () => this.#replay();
    this.#find(".wav").onclick = () => save(toWav(this.player.samples), `${this.#name()}.wav`);
    this.#find(".mp3").onclick = () => this.#saveMp3();
    this.player.addEventListener("change", () => this.#changed());
    addEventListener("key-entered", () => this.#isUnauthorized && this.run());
    this.#enableSeeking(this.#find("canvas"));
    this.#changed();
    this.#animate();
  }

  #find(selector) {
    return this.#root.querySelector(selector);
  }

  get busy() {
    return this.player.open || this.player.playing;
  }

  toggle() {
    if (this.busy) this.stop();
    else this.run();
  }

  /** Stop playback and the request. */
  stop() {
    this.player.stop(); // its change event aborts the request
  }

  /** Request the speech and play it while it arrives. */
  async run() {
    this.#isUnauthorized = false;
    this.say("");
    let request;
    try {
      request = this.#makeRequest();
    } catch (error) {
      this.say(error.message);
      return;
    }
    // Set a seed so that the mp3 download is the same speech.
    request.body.seed ??= crypto.getRandomValues(new Uint32Array(1))[0];
    const { player } = this;
    player.begin();
    const abort = (this.#abort = new AbortController());
    this.#made = { ...request, whole: false, finished: undefined };
    this.#made.expected = 0.5 + (request.text.length * SECONDS_PER_CHARACTER) / (request.speed ?? 1);
    this.#changed();
    try {
      for await (const samples of speech(request.path, request.body, abort.signal)) {
        player.push(samples);
        this.#made.finished = performance.now();
      }
      if (!player.numSamples) throw new Error("The server sent no audio.");
      this.#made.whole = true;
      this.#callbacks.onSeed?.(request.body.seed);
      player.end();
      announce(this.#find(".figures").textContent);
    } catch (error) {
      if (abort.signal.aborted) return; // stopped, or replaced by another take
      if (player.numSamples) player.end();
      else player.stop();
      this.#isUnauthorized = error.status === 401;
      this.say(error.message);
    }
    this.#changed();
  }

  /** Show an error message; an empty one clears it. */
  say(message) {
    this.#find(".error").textContent = message;
  }

  #changed() {
    const { player } = this;
    if (!player.open && !this.#made?.whole) this.#abort?.abort();
    const button = this.#find(".go");
    const hadFocus = document.activeElement === this.#find(".again");
    button.querySelector("span").textContent = this.busy ? "Stop" : this.#label;
    button.classList.toggle("stopping", this.busy);
    setIcon(button, this.busy ? "stop" : "play");
    const canReplay = !this.busy && player.numSamples > 0;
    this.#find(".again").hidden = !canReplay;
    if (hadFocus && !canReplay) button.focus();
    this.#find(".saves").hidden = player.open || !player.numSamples;
    this.#find(".mp3").hidden = !this.#made?.whole;
    const canvas = this.#find("canvas");
    canvas.tabIndex = player.numSamples && !player.open ? 0 : -1;
    canvas.setAttribute("aria-disabled", canvas.tabIndex !== 0);
    if (!this.#drawing) this.#animate();
  }

  #animate() {
    this.#drawing = true;
    const { player } = this;
    const { duration, position, peaks } = player;
    const expected = player.open ? this.#made.expected : undefined;
    const isMoving = this.#wave.draw({ peaks, duration, position, expected: expected ?? (duration || 4) });
    const canvas = this.#find("canvas");
    canvas.setAttribute("aria-valuemax", duration.toFixed(1));
    canvas.setAttribute("aria-valuenow", position.toFixed(1));
    canvas.setAttribute("aria-valuetext", `${position.toFixed(1)} of ${duration.toFixed(1)} seconds`);
    this.#showStatistics();
    this.#callbacks.onLevel?.(player.level);
    this.#drawing = Boolean(this.busy || isMoving);
    if (this.#drawing) requestAnimationFrame(() => this.#animate());
  }

  /** Show the statistics, measured in the browser: time from click to audio, and speed. */
  #showStatistics() {
    const { player } = this;
    const line = this.#find(".figures");
    if (!player.numSamples) {
      line.textContent = player.open ? "Waiting for audio…" : "";
      return;
    }
    const parts = [["first audio ", ...statistic(player.firstAfter.toFixed(2), "s")]];
    const elapsed = (this.#made.finished - player.began) / 1000;
    const rate = player.duration / elapsed;
    parts.push(statistic(rate.toFixed(rate < 10 ? 1 : 0), "× real time"));
    parts.push(statistic(player.duration.toFixed(1), "s"));
    if (player.numGaps) parts.push(statistic(player.numGaps, player.numGaps > 1 ? "gaps" : "gap"));
    if (!player.open && !this.#made.whole) parts.push(["stopped early"]);
    line.replaceChildren(
      ...parts.map((part) => {
        const span = document.createElement("span");
        span.append(...part);
        return span;
      }),
    );
  }

  #replay() {
    this.player.play(0);
    this.#find(".go").focus();
  }

  #name() {
    return `causerie-${fileName(this.#made.text)}`;
  }

  async #saveMp3() {
    const button = this.#find(".mp3");
    button.disabled = true;
    this.say("");
    try {
      const { path, body } = this.#made;
      const response = await ask(path, { json: { ...body, response_format: "mp3" } });
      save(await response.blob(), `${this.#name()}.mp3`);
    } catch (error) {
      this.say(error.message);
    }
    button.disabled = false;
  }

  /** Once the audio is complete, the waveform is a slider: clicks and arrow keys seek. */
  #enableSeeking(canvas) {
    const { player } = this;
    const canSeek = () => player.numSamples && !player.open;
    canvas.addEventListener("click", (event) => {
      if (!canSeek()) return;
      const { left, width } = canvas.getBoundingClientRect();
      player.play(this.#wave.secondsAt((event.clientX - left) / width));
    });
    canvas.addEventListener("keydown", (event) => {
      const to = {
        ArrowLeft: player.position - 1,
        ArrowRight: player.position + 1,
        Home: 0,
        End: player.duration - 0.05,
      }[event.key];
      if (!canSeek()) return;
      if (to !== undefined) player.seek(Math.max(0, Math.min(to, player.duration - 0.05)));
      else if (event.key === " " || event.key === "Enter") {
        if (player.playing) player.stop();
        else player.play(player.position < player.duration - 0.1 ? player.position : 0);
      } else return;
      event.preventDefault();
      this.#changed();
    });
  }
}
