/**
 * Plays samples while they arrive, and replays them.
 *
 * Each chunk is a buffer source that starts on the sample where the previous one ends. Unlike an
 * AudioWorklet, this works without a secure context, which a server in a local network lacks.
 */

import { SAMPLE_RATE } from "./server.js";

const MIN_LEAD = 0.04; // seconds from arrival to playback; doubled after each gap
const MAX_LEAD = 2;
const PEAK = 240; // samples per peak: 10 ms

let shared;

/** The page's audio context; created at the first click, as browsers require. */
export function audioContext() {
  shared ??= new AudioContext({ sampleRate: SAMPLE_RATE, latencyHint: "interactive" });
  if (shared.state === "suspended") shared.resume();
  return shared;
}

let active; // the player that plays; there is only one at a time

/** Stop all playback. */
export const silence = () => active?.stop();

export class Player extends EventTarget {
  #chunks = [];
  #peaks = [];
  #partial = { peak: 0, count: 0 };
  #sources = new Set();
  #anchors = []; // [time of the context, position in the audio] at the start of each gapless run
  #next = 0; // start of the next chunk, in time of the context
  #lead = MIN_LEAD;
  #rest = 0; // position while nothing plays, in seconds
  #timer;

  /** Whether more samples may arrive. */
  open = false;
  playing = false;
  numSamples = 0;
  numGaps = 0;
  /** Seconds from `begin` to the first audible sample; undefined before it. */
  firstAfter;

  get duration() {
    return this.numSamples / SAMPLE_RATE;
  }

  /** The peak of each 10 ms. */
  get peaks() {
    return this.#peaks;
  }

  /** Playback position in seconds. */
  get position() {
    if (!this.playing) return this.#rest;
    const now = shared.currentTime;
    let position = this.#rest;
    for (let i = 0; i < this.#anchors.length; i++) {
      const [time, at] = this.#anchors[i];
      if (time > now) break;
      const end = this.#anchors[i + 1]?.[1] ?? this.duration;
      position = Math.min(at + now - time, end);
    }
    return position;
  }

  /** The current level, 0 to 1. */
  get level() {
    return this.playing ? (this.#peaks[Math.floor((this.position * SAMPLE_RATE) / PEAK)] ?? 0) : 0;
  }

  /** All samples so far. */
  get samples() {
    const all = new Float32Array(this.numSamples);
    let at = 0;
    for (const chunk of this.#chunks) {
      all.set(chunk, at);
      at += chunk.length;
    }
    return all;
  }

  /** Discard the previous audio and wait for new samples. */
  begin() {
    this.stop();
    active?.stop();
    active = this;
    audioContext();
    this.#chunks = [];
    this.#peaks = [];
    this.#partial = { peak: 0, count: 0 };
    this.#anchors = [];
    this.#rest = 0;
    this.#next = 0;
    this.#lead = MIN_LEAD;
    this.numSamples = this.numGaps = 0;
    this.firstAfter = undefined;
    this.began = performance.now();
    this.open = this.playing = true;
  }

  /** Append a chunk of samples. */
  push(samples) {
    if (!this.open) return;
    const at = this.duration;
    this.#chunks.push(samples);
    this.numSamples += samples.length;
    this.#measure(samples);
    const { currentTime } = shared;
    if (this.#next < currentTime) {
      // The first chunk, or a late one: start a new run; after a gap, with a larger lead.
      if (this.#anchors.length) {
        this.numGaps++;
        this.#lead = Math.min(2 * this.#lead, MAX_LEAD);
      }
      this.#next = currentTime + this.#lead;
      this.#anchors.push([this.#next, at]);
    }
    this.firstAfter ??= (performance.now() - this.began) / 1000 + this.#next - currentTime;
    this.#start(samples, this.#next);
    this.#next += samples.length / SAMPLE_RATE;
  }

  /** Mark the audio as complete. */
  end() {
    if (!this.open) return;
    this.open = false;
    this.#settle();
  }

  /** Play the audio from a position in seconds. */
  play(from = 0) {
    this.stop();
    active?.stop();
    active = this;
    audioContext();
    const start = Math.min(Math.floor(from * SAMPLE_RATE), this.numSamples);
    if (start >= this.numSamples) return;
    this.playing = true;
    this.#next = shared.currentTime + MIN_LEAD;
    this.#anchors = [[this.#next, start / SAMPLE_RATE]];
    this.#rest = start / SAMPLE_RATE;
    const samples = this.samples.subarray(start);
    this.#start(samples, this.#next);
    this.#next += samples.length / SAMPLE_RATE;
    this.#settle();
    this.dispatchEvent(new Event("change"));
  }

  /** Stop at once. */
  stop() {
    if (!this.playing && !this.open) return;
    this.#rest = this.position;
    this.#halt();
  }

  /** Move to a position in seconds; keeps playing if it plays. */
  seek(to) {
    if (this.playing) this.play(to);
    else this.#rest = Math.max(0, Math.min(to, this.duration));
  }

  #halt() {
    clearTimeout(this.#timer);
    for (const source of this.#sources) source.stop();
    this.#sources.clear();
    this.open = this.playing = false;
    if (active === this) active = undefined;
    this.dispatchEvent(new Event("change"));
  }

  #start(samples, time) {
    const buffer = shared.createBuffer(1, samples.length, SAMPLE_RATE);
    buffer.copyToChannel(samples, 0);
    const source = shared.createBufferSource();
    source.buffer = buffer;
    source.connect(shared.destination);
    source.onended = () => this.#sources.delete(source);
    source.start(time);
    this.#sources.add(source);
  }

  /** Stop once the last sample has been played. */
  #settle() {
    clearTimeout(this.#timer);
    const remaining = this.#next - shared.currentTime;
    if (remaining > 0) {
      this.#timer = setTimeout(() => this.#settle(), 1000 * remaining + 20);
      return;
    }
    this.#rest = this.duration;
    this.#halt();
  }

  #measure(samples) {
    const partial = this.#partial;
    for (const sample of samples) {
      partial.peak = Math.max(partial.peak, Math.abs(sample));
      if (++partial.count === PEAK) {
        this.#peaks.push(partial.peak);
        partial.peak = partial.count = 0;
      }
    }
  }
}
