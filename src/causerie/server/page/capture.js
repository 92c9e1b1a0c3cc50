/** The microphone's sound as it comes, at 24 kHz. */

import { closeMicrophone, openMicrophone } from "./microphone.js";
import { Resampler } from "./resampler.js";
import { SAMPLE_RATE } from "./server.js";

/**
 * Listen to the microphone. The context has the rate of the device, as not all browsers connect a
 * microphone to another one.
 * @param {(samples: Float32Array) => void} onSamples called with about 32 ms each
 * @param {() => void} onEnd called if the microphone ends by itself
 * @returns {Promise<{stop: () => void}>}
 * @throws {MicrophoneError}
 */
export async function capture(onSamples, onEnd) {
  const stream = await openMicrophone(true);
  let context;
  const stop = () => {
    closeMicrophone(stream);
    context?.close();
  };
  try {
    context = new AudioContext({ latencyHint: "interactive" });
    await context.audioWorklet.addModule(new URL("./capture-worklet.js", import.meta.url));
    const node = new AudioWorkletNode(context, "capture", { channelCount: 1, channelCountMode: "explicit" });
    const resampler = new Resampler(Math.round(context.sampleRate), SAMPLE_RATE);
    node.port.onmessage = ({ data }) => onSamples(resampler.add(data));
    context.createMediaStreamSource(stream).connect(node);
    node.connect(context.destination); // is silent, but some browsers run no node that leads nowhere
    stream.getTracks()[0].onended = onEnd;
    context.resume(); // some browsers begin only when asked
  } catch (error) {
    stop();
    throw error;
  }
  return { stop };
}
