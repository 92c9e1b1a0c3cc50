/** The server as the page sees it: addresses, key, errors, and sound that arrives bit by bit. */

export const SAMPLE_RATE = 24000;

/** Where the page lies; the API is beside it, behind whatever prefix a proxy has put there. */
export const BASE = new URL(".", document.baseURI);

const KEY = "causerie.key";
let remembered = "";

/** The API key, for as long as the tab is open. */
export const key = {
  get: () => {
    try {
      return sessionStorage.getItem(KEY) ?? remembered;
    } catch {
      return remembered;
    }
  },
  set: (value) => {
    remembered = value;
    try {
      sessionStorage.setItem(KEY, value);
    } catch {
      // Storage is switched off: it is remembered until the page is left.
    }
  },
};

/** What the server refused, in its own words. */
export class ServerError extends Error {
  constructor(message, status, code) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

/**
 * Ask the server.
 * @param {string} path relative to the page, or what the server gave as an address of its own
 * @returns {Promise<Response>} one that is ok
 * @throws {ServerError} anything else; AbortError when it was given up
 */
export async function ask(path, { json, headers = {}, ...options } = {}) {
  const url = path.startsWith("/") ? new URL(`.${path}`, BASE) : new URL(path, BASE);
  if (url.origin !== BASE.origin) throw new ServerError(`refused to ask ${url.origin}`, 0, "origin");
  if (key.get()) headers.Authorization = `Bearer ${key.get()}`;
  if (json !== undefined) {
    headers["Content-Type"] = "application/json";
    options = { method: "POST", body: JSON.stringify(json), ...options };
  }
  let response;
  try {
    response = await fetch(url, { ...options, headers });
  } catch (error) {
    throw translate(error);
  }
  if (response.ok) return response;
  if (response.status === 401) dispatchEvent(new Event("key-wanted"));
  let told = {};
  try {
    told = (await response.json()).error ?? {};
  } catch {
    // Not the server's own error, then, but that of something in between.
  }
  const message = told.message ?? `The server answered ${response.status} ${response.statusText}.`;
  throw new ServerError(message, response.status, told.code);
}

function translate(error) {
  if (error.name === "AbortError" || error instanceof ServerError) return error;
  return new ServerError("The server does not answer. Is it still running?", 0, "no_answer");
}

/**
 * Ask for speech, and hand it on as it arrives.
 * @returns {AsyncGenerator<Float32Array>} samples at 24 kHz, mono
 */
export async function* speech(path, body, signal) {
  const response = await ask(path, { json: { ...body, response_format: "pcm" }, signal });
  const reader = response.body.getReader();
  let odd = new Uint8Array(0); // half a sample, when a piece ends in the middle of one
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      const bytes = new Uint8Array(odd.length + value.length);
      bytes.set(odd);
      bytes.set(value, odd.length);
      const count = bytes.length >> 1;
      odd = bytes.slice(2 * count);
      if (count) yield toFloat(new DataView(bytes.buffer, 0, 2 * count), count);
    }
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ServerError("The server broke off in the middle of the speech.", 0, "broken_off");
  }
}

function toFloat(view, count) {
  const samples = new Float32Array(count);
  for (let i = 0; i < count; i++) samples[i] = view.getInt16(2 * i, true) / 32768;
  return samples;
}

/** A wav file of 16 bits, mono. */
export function toWav(samples, rate = SAMPLE_RATE) {
  const view = new DataView(new ArrayBuffer(44 + 2 * samples.length));
  const text = (at, letters) => [...letters].forEach((c, i) => view.setUint8(at + i, c.charCodeAt(0)));
  text(0, "RIFF");
  view.setUint32(4, 36 + 2 * samples.length, true);
  text(8, "WAVEfmt ");
  view.setUint32(16, 16, true);
  view.setUint16(20, 1, true); // PCM
  view.setUint16(22, 1, true); // mono
  view.setUint32(24, rate, true);
  view.setUint32(28, 2 * rate, true);
  view.setUint16(32, 2, true);
  view.setUint16(34, 16, true);
  text(36, "data");
  view.setUint32(40, 2 * samples.length, true);
  for (let i = 0; i < samples.length; i++) {
    const value = Math.max(-1, Math.min(1, samples[i]));
    view.setInt16(44 + 2 * i, Math.round(value * 32767), true);
  }
  return new Blob([view], { type: "audio/wav" });
}
