/** The connection of a conversation: events of OpenAI's Realtime protocol over a WebSocket. */

import { BASE, ServerError, key, toFloat, writePcm } from "./server.js";

/** Prefix of the subprotocol that holds the key, as a page cannot set headers of a WebSocket. */
const KEY_PROTOCOL = "openai-insecure-api-key.";

/**
 * Open a session.
 * @param {(event: object) => void} onEvent called with each event of the server
 * @param {(reason: string) => void} onLost called if the connection ends and `close` was not called
 * @returns {{send: (type: string, fields?: object) => void, close: () => void}} what is sent before
 *   the connection is open waits for it
 * @throws {ServerError} the key cannot be sent
 */
export function connect(onEvent, onLost) {
  const url = new URL("v1/realtime", BASE);
  url.protocol = url.protocol.replace("http", "ws");
  const protocols = ["realtime", ...(key.get() ? [KEY_PROTOCOL + key.get()] : [])];
  let socket;
  try {
    socket = new WebSocket(url, protocols);
  } catch {
    const reason = "The API key has characters that a browser cannot send with a conversation.";
    throw new ServerError(reason, 0, "invalid_key");
  }
  const waiting = [];
  socket.onopen = () => waiting.splice(0).forEach((text) => socket.send(text));
  socket.onmessage = ({ data }) => onEvent(JSON.parse(data));
  socket.onclose = ({ code, reason }) => onLost(reason || CLOSED[code] || `it was closed with code ${code}`);
  return {
    send: (type, fields = {}) => {
      const text = JSON.stringify({ type, ...fields });
      if (socket.readyState === WebSocket.CONNECTING) waiting.push(text);
      else if (socket.readyState === WebSocket.OPEN) socket.send(text);
    },
    close: () => {
      socket.onmessage = socket.onclose = null;
      socket.close();
    },
  };
}

/** What the codes mean that come without a reason. */
const CLOSED = {
  1000: "the server ended it",
  1001: "the server stops",
  1006: "the server stopped, or cannot be reached",
  1011: "the server failed",
  1012: "the server restarts",
  1013: "the server is busy",
};

/** Samples as base64 of 16-bit PCM. */
export function encode(samples) {
  const bytes = new Uint8Array(2 * samples.length);
  writePcm(new DataView(bytes.buffer), 0, samples);
  return btoa(String.fromCharCode(...bytes));
}

/** The samples of base64 of 16-bit PCM. */
export function decode(text) {
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  return toFloat(new DataView(bytes.buffer), bytes.length >> 1);
}
