/** The microphone, as samples. */

import { SAMPLE_RATE } from "./server.js";

/** Why there is no recording, in words for whoever wants one. */
export class MicrophoneError extends Error {}

/** Sound of any file that the browser can read, as 24 kHz, mono. */
export async function decode(bytes) {
  const context = new OfflineAudioContext(1, 1, SAMPLE_RATE);
  const sound = await context.decodeAudioData(bytes);
  const mono = new Float32Array(sound.length);
  for (let channel = 0; channel < sound.numberOfChannels; channel++) {
    const data = sound.getChannelData(channel);
    for (let i = 0; i < mono.length; i++) mono[i] += data[i] / sound.numberOfChannels;
  }
  return mono;
}

/**
 * Begin to record.
 * @param {(level: number, seconds: number) => void} report how loud it is, 0 to 1, every frame
 * @returns {Promise<{stop: () => Promise<Float32Array>}>} `stop` gives the samples
 * @throws {MicrophoneError}
 */
export async function record(report) {
  if (!navigator.mediaDevices?.getUserMedia) {
    throw new MicrophoneError(
      "The browser lends its microphone only to https or localhost: choose a file instead.",
    );
  }
  let stream;
  try {
    // As it is: what makes a call clearer would become part of the voice.
    stream = await navigator.mediaDevices.getUserMedia({
      audio: { echoCancellation: false, noiseSuppression: false, autoGainControl: false },
    });
  } catch (error) {
    throw new MicrophoneError(
      error.name === "NotAllowedError"
        ? "The browser does not let this page use the microphone: allow it, or choose a file."
        : "No microphone was found: plug one in, or choose a file.",
    );
  }
  const context = new AudioContext();
  const meter = new AnalyserNode(context, { fftSize: 2048 });
  context.createMediaStreamSource(stream).connect(meter);
  const window_ = new Float32Array(meter.fftSize);
  const recorder = new MediaRecorder(stream);
  const parts = [];
  recorder.ondataavailable = ({ data }) => parts.push(data);
  recorder.start();
  const began = performance.now();
  let frame = 0;
  const look = () => {
    meter.getFloatTimeDomainData(window_);
    report(window_.reduce((most, x) => Math.max(most, Math.abs(x)), 0), (performance.now() - began) / 1000);
    frame = requestAnimationFrame(look);
  };
  look();
  return {
    stop: async () => {
      cancelAnimationFrame(frame);
      await new Promise((done) => {
        recorder.onstop = done;
        recorder.stop();
      });
      for (const track of stream.getTracks()) track.stop();
      await context.close();
      return decode(await new Blob(parts, { type: recorder.mimeType }).arrayBuffer());
    },
  };
}
