/**
 * Plays samples while they arrive, and again afterwards.
 *
 * Each piece is a buffer source that starts on the sample where the one before ends. That works
 * without a secure context, which an AudioWorklet needs and a server in the local network lacks.
 */

import { SAMPLE_RATE } from "./server.js";

const SHORTEST_LEAD = 0.04; // seconds between arrival and sound; doubled whenever it was too short
const LONGEST_LEAD = 2;
const PEAK = 240; // samples in one peak: 10 ms

let shared;

/** The page's one audio context; made at the first click, as browsers demand. */
export function audioContext() {
  shared ??= new AudioContext({ sampleRate: SAMPLE_RATE, latencyHint: "interactive" });
  if (shared.state === "suspended") shared.resume();
  return shared;
}

let active; // the player that sounds: there is one at a time

/** Silence whatever plays. */
export const silence = () => active?.stop();

export class Player extends EventTarget {
  #pieces = [];
  #peaks = [];
  #partial = { peak: 0, count: 0 };
  #sources = new Set();
  #anchors = []; // [time of the context, seconds of the sound]: from there on without a gap
  #next = 0; // when the next piece starts, in time of the context
  #lead = SHORTEST_LEAD;
  #rest = 0; // where it stands when nothing plays, in seconds
  #timer;

  /** Whether more may arrive. */
  open = false;
  playing = false;
  numSamples = 0;
  numGaps = 0;
  /** Seconds from `begin` to the first sample's sound; undefined before it. */
  firstAfter;
  /** For each piece when it arrived and when it starts, in ms of `performance.now()`. */
  schedule = [];

  get duration() {
    return this.numSamples / SAMPLE_RATE;
  }

  /** Loudest sample in each 10 ms. */
  get peaks() {
    return this.#peaks;
  }

  /** Seconds of the sound that have been heard. */
  get position() {
    if (!this.playing) return this.#rest;
    const now = shared.currentTime;
    let heard = this.#rest;
    for (let i = 0; i < this.#anchors.length; i++) {
      const [time, at] = this.#anchors[i];
      if (time > now) break;
      const end = this.#anchors[i + 1]?.[1] ?? this.duration;
      heard = Math.min(at + now - time, end);
    }
    return heard;
  }

  /** How loud it is just now, 0 to 1. */
  get level() {
    return this.playing ? (this.#peaks[Math.floor((this.position * SAMPLE_RATE) / PEAK)] ?? 0) : 0;
  }

  /** Everything so far in one piece. */
  get samples() {
    const all = new Float32Array(this.numSamples);
    let at = 0;
    for (const piece of this.#pieces) {
      all.set(piece, at);
      at += piece.length;
    }
    return all;
  }

  /** Forget the sound before, and wait for another. */
  begin() {
    this.stop();
    active?.stop();
    active = this;
    audioContext();
    this.#pieces = [];
    this.#peaks = [];
    this.#partial = { peak: 0, count: 0 };
    this.#anchors = [];
    this.#rest = 0;
    this.#next = 0;
    this.#lead = SHORTEST_LEAD;
    this.numSamples = this.numGaps = 0;
    this.firstAfter = undefined;
    this.schedule = [];
    this.began = performance.now();
    this.open = this.playing = true;
  }

  /** The next piece of the sound. */
  push(samples) {
    if (!this.open) return;
    const at = this.duration;
    this.#pieces.push(samples);
    this.numSamples += samples.length;
    this.#measure(samples);
    const { currentTime } = shared;
    if (this.#next < currentTime) {
      // The first piece, or one that comes late: begin anew, from then on with more in reserve.
      if (this.#anchors.length) {
        this.numGaps++;
        this.#lead = Math.min(2 * this.#lead, LONGEST_LEAD);
      }
      this.#next = currentTime + this.#lead;
      this.#anchors.push([this.#next, at]);
    }
    const starts = performance.now() + 1000 * (this.#next - currentTime);
    this.firstAfter ??= (starts - this.began) / 1000;
    this.schedule.push({ arrived: performance.now(), starts, length: samples.length });
    this.#start(samples, this.#next);
    this.#next += samples.length / SAMPLE_RATE;
  }

  /** Nothing more arrives. */
  end() {
    if (!this.open) return;
    this.open = false;
    this.#settle();
  }

  /** Play what is there, from so many seconds on. */
  play(from = 0) {
    this.stop();
    active?.stop();
    active = this;
    audioContext();
    const start = Math.min(Math.floor(from * SAMPLE_RATE), this.numSamples);
    if (start >= this.numSamples) return;
    this.playing = true;
    this.#next = shared.currentTime + SHORTEST_LEAD;
    this.#anchors = [[this.#next, start / SAMPLE_RATE]];
    this.#rest = start / SAMPLE_RATE;
    const samples = this.samples.subarray(start);
    this.#start(samples, this.#next);
    this.#next += samples.length / SAMPLE_RATE;
    this.#settle();
    this.dispatchEvent(new Event("change"));
  }

  /** Be silent at once. */
  stop() {
    if (!this.playing && !this.open) return;
    this.#rest = this.position;
    this.#halt();
  }

  /** Stand at so many seconds, without playing. */
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

  /** Come to rest when the last sample has sounded. */
  #settle() {
    clearTimeout(this.#timer);
    const left = this.#next - shared.currentTime;
    if (left > 0) {
      this.#timer = setTimeout(() => this.#settle(), 1000 * left + 20);
      return;
    }
    this.#rest = this.duration;
    this.#halt();
  }

  #measure(samples) {
    const partial = this.#partial;
    for (const sample of samples) {
      const size = Math.abs(sample);
      if (size > partial.peak) partial.peak = size;
      if (++partial.count === PEAK) {
        this.#peaks.push(partial.peak);
        partial.peak = partial.count = 0;
      }
    }
  }
}
