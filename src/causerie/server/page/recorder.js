/** Records from the microphone and decodes audio files. */

import { SAMPLE_RATE } from "./server.js";

/** Recording failed; the message is for the user. */
export class MicrophoneError extends Error {}

/** The samples of any audio file that the browser can decode, at 24 kHz, mono. */
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
 * Start recording.
 * @param {(level: number, seconds: number) => void} report called on every animation frame; level is 0 to 1
 * @returns {Promise<{stop: () => Promise<Float32Array>}>} `stop` returns the samples
 * @throws {MicrophoneError}
 */
export async function record(report) {
  if (!navigator.mediaDevices?.getUserMedia) {
    throw new MicrophoneError(
      "Browsers allow recording only over https or on localhost: choose a file instead.",
    );
  }
  let stream;
  try {
    // Unprocessed: processing meant for calls would become part of the voice.
    stream = await navigator.mediaDevices.getUserMedia({
      audio: { echoCancellation: false, noiseSuppression: false, autoGainControl: false },
    });
  } catch (error) {
    throw new MicrophoneError(
      error.name === "NotAllowedError"
        ? "Microphone access was denied: allow it in the browser, or choose a file."
        : "No microphone found: connect one, or choose a file.",
    );
  }
  const context = new AudioContext();
  const meter = new AnalyserNode(context, { fftSize: 2048 });
  context.createMediaStreamSource(stream).connect(meter);
  const samples = new Float32Array(meter.fftSize);
  const recorder = new MediaRecorder(stream);
  const parts = [];
  recorder.ondataavailable = ({ data }) => parts.push(data);
  recorder.start();
  const startedAt = performance.now();
  let frame = 0;
  const measure = () => {
    meter.getFloatTimeDomainData(samples);
    report(samples.reduce((max, x) => Math.max(max, Math.abs(x)), 0), (performance.now() - startedAt) / 1000);
    frame = requestAnimationFrame(measure);
  };
  measure();
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
