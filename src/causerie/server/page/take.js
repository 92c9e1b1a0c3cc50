/** One place where speech is made: the button, its waveform, what it cost, and the files of it. */

import { announce, fill, fileName, save, setIcon } from "./dom.js";
import { Player } from "./player.js";
import { ask, speech, toWav } from "./server.js";
import { Wave } from "./wave.js";

const SECONDS_A_LETTER = 0.065; // a guess of the length, until it is known

const figure = (value, unit) => {
  const strong = document.createElement("b");
  strong.textContent = value;
  return [strong, ` ${unit}`];
};

export class Take {
  player = new Player();
  #place;
  #word;
  #request;
  #settings;
  #abort;
  #wave;
  #made; // what the sound at hand was asked by
  #drawing = false;
  #refused = false;

  /**
   * @param {HTMLElement} place
   * @param {string} word on the button
   * @param {() => {path: string, body: object, text: string, speed?: number}} request what to ask
   *   for; throws an Error whose message is shown
   * @param {{onLevel?: (level: number) => void, onSeed?: (seed: number) => void}} settings
   */
  constructor(place, word, request, settings = {}) {
    this.#place = fill(place, "take");
    this.#word = word;
    this.#request = request;
    this.#settings = settings;
    this.#wave = new Wave(this.#find("canvas"));
    this.#find(".go").onclick = () => this.toggle();
    this.#find(".again").onclick = () => this.#again();
    this.#find(".wav").onclick = () => save(toWav(this.player.samples), `${this.#name()}.wav`);
    this.#find(".mp3").onclick = () => this.#saveMp3();
    this.player.addEventListener("change", () => this.#changed());
    addEventListener("key-given", () => this.#refused && this.run());
    this.#seeking(this.#find("canvas"));
    this.#changed();
    this.#animate();
  }

  #find(what) {
    return this.#place.querySelector(what);
  }

  get busy() {
    return this.player.open || this.player.playing;
  }

  toggle() {
    if (this.busy) this.stop();
    else this.run();
  }

  /** Be silent, and let the server stop too. */
  stop() {
    this.player.stop(); // its change gives up the request
  }

  /** Make the speech, and play it while it comes. */
  async run() {
    this.#refused = false;
    this.say("");
    let request;
    try {
      request = this.#request();
    } catch (error) {
      this.say(error.message);
      return;
    }
    // With a seed of ours the same speech can be had once more, as mp3.
    request.body.seed ??= crypto.getRandomValues(new Uint32Array(1))[0];
    const { player } = this;
    player.begin();
    const abort = (this.#abort = new AbortController());
    this.#made = { ...request, whole: false, finished: undefined };
    this.#made.expected = 0.5 + (request.text.length * SECONDS_A_LETTER) / (request.speed ?? 1);
    this.#changed();
    try {
      for await (const samples of speech(request.path, request.body, abort.signal)) {
        player.push(samples);
        this.#made.finished = performance.now();
      }
      if (!player.numSamples) throw new Error("The server sent no sound.");
      this.#made.whole = true;
      this.#settings.onSeed?.(request.body.seed);
      player.end();
      announce(this.#find(".figures").textContent);
    } catch (error) {
      if (abort.signal.aborted) return; // stopped, or another began
      if (player.numSamples) player.end();
      else player.stop();
      this.#refused = error.status === 401;
      this.say(error.message);
    }
    this.#changed();
  }

  /** Show one line of what went wrong. */
  say(message) {
    this.#find(".error").textContent = message;
  }

  #changed() {
    const { player } = this;
    if (!player.open && !this.#made?.whole) this.#abort?.abort();
    const button = this.#find(".go");
    const hadFocus = document.activeElement === this.#find(".again");
    button.querySelector("span").textContent = this.busy ? "Stop" : this.#word;
    button.classList.toggle("stopping", this.busy);
    setIcon(button, this.busy ? "stop" : "play");
    const resting = !this.busy && player.numSamples > 0;
    this.#find(".again").hidden = !resting;
    if (hadFocus && !resting) button.focus();
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
    const gliding = this.#wave.draw({ peaks, duration, position, expected: expected ?? (duration || 4) });
    const canvas = this.#find("canvas");
    canvas.setAttribute("aria-valuemax", duration.toFixed(1));
    canvas.setAttribute("aria-valuenow", position.toFixed(1));
    canvas.setAttribute("aria-valuetext", `${position.toFixed(1)} of ${duration.toFixed(1)} seconds`);
    this.#tell();
    this.#settings.onLevel?.(player.level);
    this.#drawing = Boolean(this.busy || gliding);
    if (this.#drawing) requestAnimationFrame(() => this.#animate());
  }

  /** The line of figures, measured here: from the click to the sound, and the rate it came at. */
  #tell() {
    const { player } = this;
    const line = this.#find(".figures");
    if (!player.numSamples) {
      line.textContent = player.open ? "waiting for the first sound …" : "";
      return;
    }
    const parts = [["first audio ", ...figure(player.firstAfter.toFixed(2), "s")]];
    const took = (this.#made.finished - player.began) / 1000;
    const rate = player.duration / took;
    parts.push(figure(rate.toFixed(rate < 10 ? 1 : 0), "× real time"));
    parts.push(figure(player.duration.toFixed(1), "s"));
    if (player.numGaps) parts.push(figure(player.numGaps, player.numGaps > 1 ? "gaps" : "gap"));
    if (!player.open && !this.#made.whole) parts.push(["cut short"]);
    line.replaceChildren(
      ...parts.map((part) => {
        const span = document.createElement("span");
        span.append(...part);
        return span;
      }),
    );
  }

  #again() {
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

  /** The waveform is a slider once the sound is whole: a click or an arrow goes elsewhere in it. */
  #seeking(canvas) {
    const { player } = this;
    const usable = () => player.numSamples && !player.open;
    canvas.addEventListener("click", (event) => {
      if (!usable()) return;
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
      if (!usable()) return;
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
