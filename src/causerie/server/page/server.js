/** Requests to the server: URLs, API key, errors, and streamed audio. */

export const SAMPLE_RATE = 24000;

/** The URL of the page's folder. The API is relative to it, so a proxy may add a prefix. */
export const BASE = new URL(".", document.baseURI);

const KEY = "causerie.key";
let fallback = ""; // used if session storage is disabled

/** The API key, stored until the tab is closed. */
export const key = {
  get: () => {
    try {
      return sessionStorage.getItem(KEY) ?? fallback;
    } catch {
      return fallback;
    }
  },
  set: (value) => {
    fallback = value;
    try {
      sessionStorage.setItem(KEY, value);
    } catch {
      // Storage is disabled: the key lasts until the user leaves the page.
    }
  },
};

/** The server refused a request or cannot be reached; the message is for the user. */
export class ServerError extends Error {
  constructor(message, status, code) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

/**
 * Send a request to the server.
 * @param {string} path relative to the page, or a path from the server's root
 * @returns {Promise<Response>} a successful response
 * @throws {ServerError} the request failed; AbortError if it was aborted
 */
export async function ask(path, { json, headers = {}, ...options } = {}) {
  const url = path.startsWith("/") ? new URL(`.${path}`, BASE) : new URL(path, BASE);
  if (url.origin !== BASE.origin) throw new ServerError(`Refused to send a request to ${url.origin}.`, 0, "origin");
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
  if (response.status === 401) dispatchEvent(new Event("key-required"));
  let details = {};
  try {
    details = (await response.json()).error ?? {};
  } catch {
    // The response is not from our server, but from a proxy in between.
  }
  const message = details.message ?? `The server answered ${response.status} ${response.statusText}.`;
  throw new ServerError(message, response.status, details.code);
}

function translate(error) {
  if (error.name === "AbortError" || error instanceof ServerError) return error;
  return new ServerError("Cannot reach the server. Is it still running?", 0, "no_answer");
}

/**
 * Request speech and yield it as it arrives.
 * @returns {AsyncGenerator<Float32Array>} samples at 24 kHz, mono
 */
export async function* speech(path, body, signal) {
  const response = await ask(path, { json: { ...body, response_format: "pcm" }, signal });
  const reader = response.body.getReader();
  let rest = new Uint8Array(0); // first byte of a sample that a chunk has split
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      const bytes = new Uint8Array(rest.length + value.length);
      bytes.set(rest);
      bytes.set(value, rest.length);
      const count = bytes.length >> 1;
      rest = bytes.slice(2 * count);
      if (count) yield toFloat(new DataView(bytes.buffer, 0, 2 * count), count);
    }
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ServerError("The connection was lost before the speech ended.", 0, "broken_off");
  }
}

/** The samples of 16-bit PCM. */
export function toFloat(view, count) {
  const samples = new Float32Array(count);
  for (let i = 0; i < count; i++) samples[i] = view.getInt16(2 * i, true) / 32768;
  return samples;
}

/** Write samples as 16-bit PCM. */
export function writePcm(view, at, samples) {
  for (let i = 0; i < samples.length; i++) {
    const value = Math.max(-1, Math.min(1, samples[i]));
    view.setInt16(at + 2 * i, Math.round(value * 32767), true);
  }
}

/** A 16-bit mono wav file. */
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
  writePcm(view, 44, samples);
  return new Blob([view], { type: "audio/wav" });
}
