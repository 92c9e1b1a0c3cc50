/** The server's voices: the list, the chosen one, colours and previews. */

import { setIcon } from "./dom.js";
import { Player, audioContext } from "./player.js";
import { ask } from "./server.js";

const HUES = [12, 210, 330, 160, 265, 42, 190, 300, 95, 235];

class Voices extends EventTarget {
  /** @type {{id: string, name: string, language?: string, description?: string, origin?: string,
   *   preview_url?: string}[]} */
  list = [];
  #chosen;

  /** The id of the chosen voice. */
  get chosen() {
    return this.#chosen;
  }

  set chosen(id) {
    this.#chosen = id;
    this.dispatchEvent(new Event("chosen"));
  }

  /** Load the list from the server. */
  async load() {
    // Everybody may list the built-in voices; this needs the key, where there is one.
    await ask("v1/audio/voice_consents?limit=1");
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

  /** The hue of a voice, in degrees. */
  hue(id) {
    const index = this.list.findIndex((voice) => voice.id === id);
    return HUES[Math.max(0, index) % HUES.length] + 7 * Math.floor(Math.max(0, index) / HUES.length);
  }
}

export const voices = new Voices();

/** A short description of a voice. */
export const describe = ({ description, origin, language }) =>
  description || (origin === "uploaded" ? "Uploaded" : (language ?? ""));

/** List the voices in a select, with the chosen one even if it was deleted. */
export function listIn(select, chosen) {
  select.replaceChildren(...voices.list.map(({ id, name }) => new Option(name, id)));
  if (chosen && !voices.get(chosen)) select.append(new Option(`${chosen} (deleted)`, chosen));
  select.value = chosen ?? "";
}

const player = new Player();
let active; // the button whose preview is playing
player.addEventListener("change", () => {
  if (player.playing || !active) return;
  active.classList.remove("sounding");
  setIcon(active, "play");
  active = undefined;
});

/** Make a button play the preview of a voice; a second click stops it. */
export function previews(button, voice, report) {
  button.style.setProperty("--hue", voices.hue(voice.id));
  button.setAttribute("aria-label", `Preview ${voice.name}`);
  button.title = `Preview ${voice.name}`;
  button.onclick = async () => {
    const isActive = active === button;
    player.stop();
    if (isActive) return;
    report("");
    button.setAttribute("aria-busy", "true");
    try {
      const context = audioContext();
      player.begin();
      active = button;
      button.classList.add("sounding");
      setIcon(button, "stop");
      const response = await ask(voice.preview_url);
      const audio = await context.decodeAudioData(await response.arrayBuffer());
      if (active === button && player.open) {
        player.push(audio.getChannelData(0).slice());
        player.end();
      }
    } catch (error) {
      if (active === button) player.stop();
      report(error.name === "EncodingError" ? `The browser cannot play the preview of ${voice.name}.` : error.message);
    }
    button.removeAttribute("aria-busy");
  };
}
