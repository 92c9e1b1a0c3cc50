/** Sends the samples of the microphone to the page, in blocks. Runs in the thread of the sound. */

const BLOCK_S = 0.032;

class Capture extends AudioWorkletProcessor {
  #parts = [];
  #length = 0;

  process([[samples]]) {
    if (!samples) return true; // the microphone is not connected yet
    this.#parts.push(samples.slice());
    this.#length += samples.length;
    if (this.#length < BLOCK_S * sampleRate) return true;
    const block = new Float32Array(this.#length);
    let at = 0;
    for (const part of this.#parts) {
      block.set(part, at);
      at += part.length;
    }
    this.#parts = [];
    this.#length = 0;
    this.port.postMessage(block, [block.buffer]);
    return true;
  }
}

registerProcessor("capture", Capture);
