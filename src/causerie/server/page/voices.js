/** The voices of the server: which there are, how each looks, and how it sounds. */

import { setIcon } from "./dom.js";
import { Player, audioContext } from "./player.js";
import { ask } from "./server.js";

const HUES = [12, 210, 330, 160, 265, 42, 190, 300, 95, 235];

class Voices extends EventTarget {
  /** @type {{id: string, name: string, language?: string, description?: string, origin?: string,
   *   preview_url?: string}[]} */
  list = [];
  #chosen;

  /** The voice that is to speak. */
  get chosen() {
    return this.#chosen;
  }

  set chosen(id) {
    this.#chosen = id;
    this.dispatchEvent(new Event("chosen"));
  }

  /** Ask the server anew. */
  async load() {
    const { voices } = await (await ask("v1/audio/voices")).json();
    this.list = voices;
    if (!voices.some(({ id }) => id === this.#chosen)) this.#chosen = voices[0]?.id;
    this.dispatchEvent(new Event("change"));
    this.dispatchEvent(new Event("chosen"));
  }

  get(id) {
    return this.list.find((voice) => voice.id === id);
  }

  name(id) {
    return this.get(id)?.name ?? id;
  }

  /** A colour of its own, as an angle. */
  hue(id) {
    const index = this.list.findIndex((voice) => voice.id === id);
    return HUES[Math.max(0, index) % HUES.length] + 7 * Math.floor(Math.max(0, index) / HUES.length);
  }
}

export const voices = new Voices();

/** What to say about a voice in a few words. */
export const describe = ({ description, origin, language }) =>
  description || (origin === "uploaded" ? "added here" : (language ?? ""));

const player = new Player();
let sounding; // the orb whose voice is heard
player.addEventListener("change", () => {
  if (player.playing || !sounding) return;
  sounding.classList.remove("sounding");
  setIcon(sounding, "play");
  sounding = undefined;
});

/** Make a round button play how a voice sounds; a second click ends it. */
export function previews(button, voice, report) {
  button.style.setProperty("--hue", voices.hue(voice.id));
  button.setAttribute("aria-label", `Hear ${voice.name}`);
  button.title = `Hear ${voice.name}`;
  button.onclick = async () => {
    const same = sounding === button;
    player.stop();
    if (same) return;
    report("");
    button.setAttribute("aria-busy", "true");
    try {
      const context = audioContext();
      player.begin();
      sounding = button;
      button.classList.add("sounding");
      setIcon(button, "stop");
      const response = await ask(voice.preview_url);
      const sound = await context.decodeAudioData(await response.arrayBuffer());
      if (sounding === button && player.open) {
        player.push(sound.getChannelData(0).slice());
        player.end();
      }
    } catch (error) {
      if (sounding === button) player.stop();
      report(error.name === "EncodingError" ? `The preview of ${voice.name} cannot be played.` : error.message);
    }
    button.removeAttribute("aria-busy");
  };
}
