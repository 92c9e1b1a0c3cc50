/** Draws a waveform: dots for audio to come, bars for audio received, colour for audio played. */

const BAR = 3;
const GAP = 3;

/** The height of each bar: the highest of the 10 ms peaks that it stands for. */
function heights(peaks, count, seconds) {
  const steps = (seconds * 100) / count;
  const bars = new Float32Array(count);
  for (let i = 0; i < count; i++) {
    const end = Math.max(Math.floor(i * steps) + 1, Math.floor((i + 1) * steps));
    for (let step = Math.floor(i * steps); step < end && step < peaks.length; step++) {
      if (peaks[step] > bars[i]) bars[i] = peaks[step];
    }
  }
  return bars;
}

export class Wave {
  #canvas;
  #colours;
  #seconds = 4; // duration of the whole width; moves smoothly to the true duration
  #shown = []; // current height of each bar; grows smoothly

  constructor(canvas) {
    this.#canvas = canvas;
    new ResizeObserver(() => this.redraw()).observe(canvas);
    addEventListener("theme", () => {
      this.#colours = undefined;
      this.redraw();
    });
  }

  redraw() {
    if (this.last) this.draw(this.last, true);
  }

  /** The time at a position on the canvas, from 0 at its left edge to 1 at its right. */
  secondsAt(position) {
    return position * this.#seconds;
  }

  /**
   * @param {{peaks: number[], duration: number, position: number, expected?: number}} sound
   *   `expected` is the estimated duration while the audio is incomplete
   * @returns {boolean} whether the drawing still moves and must be drawn again
   */
  draw(sound, isInstant = false) {
    this.last = sound;
    const { width, height } = this.#canvas.getBoundingClientRect();
    if (!width) return false;
    const { devicePixelRatio: ratio = 1 } = window;
    const [w, h] = [Math.round(width * ratio), Math.round(height * ratio)];
    if (this.#canvas.width !== w || this.#canvas.height !== h) {
      Object.assign(this.#canvas, { width: w, height: h });
    }
    const isStill = isInstant || matchMedia("(prefers-reduced-motion: reduce)").matches;
    const target = Math.max(sound.expected ?? 0, sound.duration, 0.5);
    this.#seconds = isStill ? target : this.#seconds + (target - this.#seconds) * 0.2;

    const pen = this.#canvas.getContext("2d");
    const colours = (this.#colours ??= readColours(this.#canvas));
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.clearRect(0, 0, width, height);
    const playedFill = pen.createLinearGradient(0, 0, width, 0);
    colours.played.forEach((colour, i) => playedFill.addColorStop(i / (colours.played.length - 1), colour));

    const count = Math.floor((width + GAP) / (BAR + GAP));
    const bars = heights(sound.peaks, count, this.#seconds);
    // Scale to the full height, but keep near silence low.
    const loudest = sound.peaks.reduce((max, peak) => Math.max(max, peak), 0.2);
    const arrived = (sound.duration / this.#seconds) * count;
    const played = (sound.position / this.#seconds) * count;
    for (let i = 0; i < count; i++) {
      const full = i < arrived ? (bars[i] / loudest) ** 0.7 : 0;
      const before = this.#shown[i] ?? 0;
      const size = isStill ? full : before + (full - before) * 0.35;
      this.#shown[i] = size;
      const tall = Math.max(BAR, size * (height - 4));
      pen.fillStyle = i < arrived ? (i < played ? playedFill : colours.ahead) : colours.dots;
      pen.beginPath();
      pen.roundRect(i * (BAR + GAP), (height - tall) / 2, BAR, tall, BAR / 2);
      pen.fill();
    }
    this.#shown.length = count;
    return !isStill && Math.abs(target - this.#seconds) > 0.01;
  }
}

function readColours(element) {
  // Reading a custom property returns its text; setting it as a colour computes the value.
  const style = getComputedStyle(element);
  const read = (name) => {
    element.style.color = `var(${name})`;
    const { color } = style;
    element.style.color = "";
    return color;
  };
  return {
    played: ["--ember-1", "--ember-2", "--ember-3"].map(read),
    ahead: read("--ahead"),
    dots: read("--dots"),
  };
}
