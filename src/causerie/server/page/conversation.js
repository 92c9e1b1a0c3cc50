/** A spoken conversation: turns, answers and interruptions. Knows no element of the page. */

import { capture } from "./capture.js";
import { Player, audioContext } from "./player.js";
import { connect, decode, encode } from "./realtime.js";
import { SAMPLE_RATE } from "./server.js";

const FORMAT = { type: "audio/pcm", rate: SAMPLE_RATE };
const detection = (isButton) => (isButton ? null : { type: "server_vad" });

/** Seconds from the time of the audio context to the loudspeaker, where the browser knows them. */
const outputLatency = () => audioContext().outputLatency || 0;

/**
 * What one of the two says.
 * @typedef {object} Line
 * @property {string} id of the item
 * @property {string} [voice] id of the voice; undefined for the user
 * @property {string} text so far
 * @property {boolean} isOpen whether it may change
 * @property {boolean} [isWhole] whether all of its sound has arrived
 * @property {boolean} isCut whether it was interrupted; `text` is then what was heard
 * @property {number} [latency] seconds from the user's last word to the first sound
 * @property {Record<string, number>} [parts] the server's parts of that time, in milliseconds
 */

export class Conversation {
  #player = new Player();
  #microphone;
  #connection;
  #callbacks;
  #voice;
  #isButton;
  /** @type {Map<string, Line>} */
  #lines = new Map();
  #response; // id of the response in progress
  #reply; // the line that is played
  #isReady = false; // the server has read the settings
  #isHearing = false; // the user speaks
  #isHeld = false; // the button is held
  #isReleased = false; // the turn ends with the next block
  #isWaiting = false; // for the first sound of an answer
  #isEnded = false;
  #numSent = 0; // samples, to the server's current ears
  #sentAt; // when the last of them were recorded
  #stoppedAt; // when the user's last word ended
  /** Level of the microphone, 0 to 1. */
  userLevel = 0;

  /**
   * @param {{voice: string, isButton: boolean}} options `isButton`: a button says when the user
   *   speaks, in place of the server's voice activity detection
   * @param {{onReady: () => void, onChange: () => void, onLine: (line: Line) => void,
   *   onNotice: (message: string) => void, onEnd: (reason?: string) => void}} callbacks
   *   `onChange`: `state` may have changed; `onEnd` gets no reason if `stop` was called
   */
  constructor({ voice, isButton }, callbacks) {
    [this.#voice, this.#isButton, this.#callbacks] = [voice, isButton, callbacks];
    this.#player.addEventListener("change", () => this.#onPlayer());
  }

  /** Who does what: "connecting", "listening", "hearing" the user, "thinking" or "speaking". */
  get state() {
    if (!this.#isReady) return "connecting";
    if (this.#isHearing || this.#isHeld) return "hearing";
    if (this.#reply && this.#player.numSamples) return "speaking";
    return this.#isWaiting ? "thinking" : "listening";
  }

  /** Level of the answer, 0 to 1. */
  get voiceLevel() {
    return this.#player.level;
  }

  /**
   * Ask for the microphone and connect.
   * @throws {MicrophoneError | ServerError}
   */
  async start() {
    this.#microphone = await capture(
      (samples) => this.#send(samples),
      () => this.#end("The microphone was disconnected."),
    );
    if (this.#isEnded) {
      this.#microphone.stop();
      return;
    }
    try {
      this.#connection = connect(
        (event) => this.#onEvent(event),
        (reason) => this.#end(`The connection was lost: ${reason}.`),
      );
      this.#update("start", {
        input: {
          format: FORMAT,
          transcription: { model: "whisper-1" },
          turn_detection: detection(this.#isButton),
        },
        output: { format: FORMAT, voice: this.#voice },
      });
    } catch (error) {
      this.#microphone.stop();
      throw error;
    }
  }

  /** End the conversation and turn the microphone off. */
  stop() {
    this.#end();
  }

  /** Speak with another voice from the next answer on. */
  setVoice(voice) {
    this.#voice = voice;
    this.#update("voice", { output: { voice } });
  }

  /** Whether a button says when the user speaks; what was said of a turn until now is forgotten. */
  setButton(isButton) {
    this.#isButton = isButton;
    this.#isHearing = this.#isHeld = this.#isReleased = false;
    this.#numSent = 0; // the server begins to hear anew
    this.#update("button", { input: { turn_detection: detection(isButton) } });
    for (const line of this.#lines.values()) if (!line.voice) this.#close(line);
    this.#callbacks.onChange();
  }

  /** The button is pressed: the user speaks, which interrupts the answer. */
  press() {
    if (!this.#isButton || this.#isHeld) return;
    this.#isHeld = true;
    this.#player.stop();
    this.#cancel();
    this.#callbacks.onChange();
  }

  /** The button is released: the user's turn ends. */
  release() {
    if (!this.#isHeld) return;
    this.#isHeld = false;
    this.#isReleased = this.#isWaiting = true;
    this.#stoppedAt = performance.now();
    this.#callbacks.onChange();
  }

  // The user's sound

  #send(samples) {
    this.userLevel = samples.reduce((peak, sample) => Math.max(peak, Math.abs(sample)), 0);
    if (this.#isButton && !this.#isHeld && !this.#isReleased) return;
    this.#numSent += samples.length;
    this.#sentAt = performance.now();
    this.#connection?.send("input_audio_buffer.append", { event_id: "sound", audio: encode(samples) });
    if (!this.#isReleased) return;
    this.#isReleased = false;
    this.#connection?.send("input_audio_buffer.commit", { event_id: "commit" });
  }

  #update(id, audio) {
    this.#connection?.send("session.update", { event_id: id, session: { type: "realtime", audio } });
  }

  // The answer's sound

  #begin(item) {
    this.#player.begin();
    this.#reply = this.#line(item.id, this.#voice);
    if (this.state === "hearing") this.#player.stop(); // the user went on after a pause
  }

  #play(samples) {
    const isFirst = !this.#player.numSamples;
    this.#player.push(samples);
    if (!isFirst) return;
    this.#isWaiting = false;
    if (this.#stoppedAt === undefined) return;
    const soundsAt = this.#player.began + 1000 * (this.#player.firstAfter + outputLatency());
    this.#reply.latency = (soundsAt - this.#stoppedAt) / 1000;
    this.#stoppedAt = undefined;
    this.#callbacks.onLine(this.#reply);
  }

  /** The answer was played, or stopped. */
  #onPlayer() {
    const line = this.#reply;
    if (this.#player.playing || !line) return;
    this.#reply = undefined;
    if (line.isWhole && this.#player.position >= this.#player.duration) {
      this.#close(line);
    } else {
      line.isCut = true;
      this.#cancel();
      const heard = Math.max(0, this.#player.position - outputLatency());
      this.#connection.send("conversation.item.truncate", {
        event_id: "cut",
        item_id: line.id,
        content_index: 0,
        audio_end_ms: Math.floor(1000 * heard),
      });
    }
    this.#callbacks.onChange();
  }

  /** End the response in progress. */
  #cancel() {
    if (!this.#response) return;
    this.#connection.send("response.cancel", { event_id: "cancel", response_id: this.#response });
    this.#response = undefined;
    this.#isWaiting = false;
  }

  // What the server says

  #onEvent(event) {
    this.#handlers[event.type]?.(event);
    if (!this.#isEnded) this.#callbacks.onChange();
  }

  #handlers = {
    "session.updated": () => {
      if (this.#isReady) return;
      this.#isReady = true;
      this.#callbacks.onReady();
    },
    "input_audio_buffer.speech_started": ({ item_id }) => {
      this.#isHearing = true;
      this.#isWaiting = false;
      this.#response = undefined; // the server ends it by itself
      this.#player.stop();
      this.#line(item_id);
    },
    "input_audio_buffer.speech_stopped": ({ audio_end_ms }) => {
      this.#isHearing = false;
      this.#stoppedAt = this.#sentAt - ((1000 * this.#numSent) / SAMPLE_RATE - audio_end_ms);
    },
    "input_audio_buffer.committed": ({ item_id }) => {
      this.#isWaiting = true;
      this.#line(item_id);
    },
    "conversation.item.input_audio_transcription.delta": ({ item_id, delta }) => {
      this.#write(this.#line(item_id), this.#line(item_id).text + delta);
    },
    "conversation.item.input_audio_transcription.completed": ({ item_id, transcript }) => {
      this.#write(this.#line(item_id), transcript);
      this.#close(this.#line(item_id));
      if (!transcript.trim()) this.#isWaiting = false;
      else if (this.#isButton && !this.#isHeld) this.#connection.send("response.create");
    },
    "conversation.item.input_audio_transcription.failed": ({ item_id, error }) => {
      this.#close(this.#line(item_id));
      this.#notice(error.message);
    },
    "response.created": ({ response }) => {
      this.#response = response.id;
    },
    "response.output_item.added": ({ response_id, item }) => {
      if (response_id === this.#response && item.type === "message") this.#begin(item);
    },
    "response.output_audio_transcript.delta": ({ item_id, delta }) => {
      const line = this.#lines.get(item_id);
      if (line) this.#write(line, line.text + delta);
    },
    "response.output_audio.delta": ({ item_id, delta }) => {
      if (item_id === this.#reply?.id) this.#play(decode(delta));
    },
    "response.output_audio.done": ({ item_id }) => {
      if (item_id !== this.#reply?.id) return;
      this.#reply.isWhole = true;
      this.#player.end();
    },
    "response.done": ({ response }) => {
      if (response.id === this.#response) {
        this.#response = undefined;
        this.#isWaiting = false;
      }
      for (const { id } of response.output) this.#explain(this.#lines.get(id), response);
      if (response.status === "failed") this.#notice(response.status_details.error.message);
    },
    "conversation.item.truncated": ({ item_id }) => {
      this.#connection.send("conversation.item.retrieve", { event_id: "cut", item_id });
    },
    "conversation.item.retrieved": ({ item }) => {
      this.#write(this.#line(item.id), item.content[0].transcript);
      this.#close(this.#line(item.id));
    },
    error: ({ error }) => this.#onError(error),
  };

  #onError({ event_id, code, message }) {
    if (event_id === "sound" || event_id === "start") {
      this.#end(message);
    } else if (event_id === "cut") {
      for (const line of this.#lines.values()) if (line.isCut) this.#close(line);
      this.#notice(message);
    } else if (code === "input_audio_buffer_commit_empty") {
      this.#notice("Nothing was heard: hold the button while you speak.");
    } else if (code !== "response_cancel_not_active") {
      this.#notice(message); // a response that ends before it is cancelled is no error
    }
  }

  #notice(message) {
    this.#isWaiting = false;
    this.#callbacks.onNotice(message);
  }

  // Lines

  /** The line of an item. */
  #line(id, voice) {
    if (!this.#lines.has(id)) {
      this.#lines.set(id, { id, voice, text: "", isOpen: true, isCut: false });
      this.#callbacks.onLine(this.#lines.get(id));
    }
    return this.#lines.get(id);
  }

  #write(line, text) {
    line.text = text;
    this.#callbacks.onLine(line);
  }

  #close(line) {
    if (!line.isOpen) return;
    line.isOpen = false;
    this.#callbacks.onLine(line);
  }

  /** Show the parts of the latency, if the server says them. */
  #explain(line, response) {
    const { total, ...parts } = response.latency_ms ?? {}; // the total is our own to measure
    if (!line) return;
    line.parts = parts;
    this.#callbacks.onLine(line);
  }

  #end(reason) {
    if (this.#isEnded) return;
    this.#isEnded = true;
    this.#microphone?.stop();
    this.#connection?.close();
    if (this.#reply) this.#reply.isCut = true;
    this.#reply = undefined;
    this.#player.stop();
    for (const line of this.#lines.values()) this.#close(line);
    this.#callbacks.onEnd(reason);
  }
}
