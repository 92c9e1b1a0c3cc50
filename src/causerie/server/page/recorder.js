/** Records from the microphone and decodes audio files. */

import { closeMicrophone, openMicrophone } from "./microphone.js";
import { SAMPLE_RATE } from "./server.js";

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
  const stream = await openMicrophone(false); // what is processed for calls is not the voice
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
      closeMicrophone(stream);
      await context.close();
      return decode(await new Blob(parts, { type: recorder.mimeType }).arrayBuffer());
    },
  };
}
