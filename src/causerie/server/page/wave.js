/** Draws sound: dots where none is yet, bars where it has arrived, colour where it was heard. */

const BAR = 3;
const GAP = 3;

/** Bars as high as the loudest of the 10 ms steps behind each. */
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
  #seconds = 4; // what the whole width stands for; glides to the true length
  #shown = []; // height of each bar as drawn: grows softly

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

  /** Seconds at a place of the canvas, from 0 at its left edge to 1 at its right. */
  secondsAt(share) {
    return share * this.#seconds;
  }

  /**
   * @param {{peaks: number[], duration: number, position: number, expected?: number}} sound
   *   `expected` is the length it will probably have, while it is being made
   */
  draw(sound, atOnce = false) {
    this.last = sound;
    const { width, height } = this.#canvas.getBoundingClientRect();
    if (!width) return;
    const { devicePixelRatio: ratio = 1 } = window;
    const [w, h] = [Math.round(width * ratio), Math.round(height * ratio)];
    if (this.#canvas.width !== w || this.#canvas.height !== h) {
      Object.assign(this.#canvas, { width: w, height: h });
    }
    const still = atOnce || matchMedia("(prefers-reduced-motion: reduce)").matches;
    const wanted = Math.max(sound.expected ?? 0, sound.duration, 0.5);
    this.#seconds = still ? wanted : this.#seconds + (wanted - this.#seconds) * 0.2;

    const pen = this.#canvas.getContext("2d");
    const colours = (this.#colours ??= readColours(this.#canvas));
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.clearRect(0, 0, width, height);
    const heard = pen.createLinearGradient(0, 0, width, 0);
    colours.heard.forEach((colour, i) => heard.addColorStop(i / (colours.heard.length - 1), colour));

    const count = Math.floor((width + GAP) / (BAR + GAP));
    const bars = heights(sound.peaks, count, this.#seconds);
    // As high as there is room, once there is speech; what is nearly silent stays low.
    const loudest = sound.peaks.reduce((most, peak) => Math.max(most, peak), 0.2);
    const arrived = (sound.duration / this.#seconds) * count;
    const played = (sound.position / this.#seconds) * count;
    for (let i = 0; i < count; i++) {
      const full = i < arrived ? (bars[i] / loudest) ** 0.7 : 0;
      const before = this.#shown[i] ?? 0;
      const size = still ? full : before + (full - before) * 0.35;
      this.#shown[i] = size;
      const tall = Math.max(BAR, size * (height - 4));
      pen.fillStyle = i < arrived ? (i < played ? heard : colours.ahead) : colours.dots;
      pen.beginPath();
      pen.roundRect(i * (BAR + GAP), (height - tall) / 2, BAR, tall, BAR / 2);
      pen.fill();
    }
    this.#shown.length = count;
    return !still && Math.abs(wanted - this.#seconds) > 0.01;
  }
}

function readColours(element) {
  // A custom property gives back its text; as a colour of the canvas itself it is worked out.
  const style = getComputedStyle(element);
  const read = (name) => {
    element.style.color = `var(${name})`;
    const { color } = style;
    element.style.color = "";
    return color;
  };
  return {
    heard: ["--ember-1", "--ember-2", "--ember-3"].map(read),
    ahead: read("--ahead"),
    dots: read("--dots"),
  };
}
