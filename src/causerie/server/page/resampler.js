/** Changes the sample rate of sound that arrives in pieces. */

const NUM_ZEROS = 16; // zero crossings on each side of the filter
const ROLLOFF = 0.94; // share of the new band that passes

const divisor = (a, b) => (b ? divisor(b, a % b) : a);

/** A low-pass filter at a place between two samples: a sinc in a Hann window, of sum 1. */
function filter(place, half, cutoff) {
  const taps = Float64Array.from({ length: 2 * half }, (_, i) => {
    const x = i - half + 1 - place;
    const angle = Math.PI * cutoff * x;
    const window = Math.abs(x) < half ? 0.5 + 0.5 * Math.cos((Math.PI * x) / half) : 0;
    return window * (angle ? Math.sin(angle) / angle : 1);
  });
  const sum = taps.reduce((all, tap) => all + tap, 0);
  return taps.map((tap) => tap / sum);
}

export class Resampler {
  #up;
  #down;
  #half;
  #filters; // by the place between two samples
  #held; // samples that are still needed
  #first; // place of the first of them
  #next = 0; // number of the next output

  /** @param {number} from, to sample rates, whole numbers of Hz */
  constructor(from, to) {
    const common = divisor(from, to);
    [this.#up, this.#down] = [to / common, from / common];
    const cutoff = ROLLOFF * Math.min(1, to / from);
    this.#half = Math.ceil(NUM_ZEROS / cutoff);
    this.#filters = Array.from({ length: this.#up }, (_, phase) => filter(phase / this.#up, this.#half, cutoff));
    this.#held = new Float32Array(this.#half); // silence before the sound
    this.#first = -this.#half;
  }

  /** The samples at the new rate that these samples complete; they lag by the half of a filter. */
  add(samples) {
    if (this.#up === this.#down) return samples;
    const held = new Float32Array(this.#held.length + samples.length);
    held.set(this.#held);
    held.set(samples, this.#held.length);
    const out = [];
    for (;;) {
      const place = this.#next * this.#down;
      const start = Math.floor(place / this.#up) - this.#half + 1 - this.#first;
      const taps = this.#filters[place % this.#up];
      if (start + taps.length > held.length) {
        this.#held = held.slice(start);
        this.#first += start;
        return Float32Array.from(out);
      }
      let sum = 0;
      for (let i = 0; i < taps.length; i++) sum += taps[i] * held[start + i];
      out.push(sum);
      this.#next++;
    }
  }
}
