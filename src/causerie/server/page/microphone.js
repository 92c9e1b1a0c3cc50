/** Opens the microphone. */

/** The microphone cannot be used; the message is for the user. */
export class MicrophoneError extends Error {}

const REASONS = {
  NotAllowedError: "The microphone was refused: allow it for this page in the browser.",
  NotFoundError: "There is no microphone: connect one.",
  NotReadableError: "The microphone cannot be read: another program may use it.",
};

/**
 * Ask for the microphone.
 * @param {boolean} isCall whether the browser removes echo and noise and levels the loudness, as
 *   for calls
 * @returns {Promise<MediaStream>}
 * @throws {MicrophoneError}
 */
export async function openMicrophone(isCall) {
  if (!navigator.mediaDevices?.getUserMedia) {
    throw new MicrophoneError(
      `Browsers give a microphone only to pages over https or on localhost, not to ${location.origin}.`,
    );
  }
  const audio = { echoCancellation: isCall, noiseSuppression: isCall, autoGainControl: isCall };
  try {
    return await navigator.mediaDevices.getUserMedia({ audio });
  } catch (error) {
    throw new MicrophoneError(REASONS[error.name] ?? `The microphone cannot be used: ${error.message}`);
  }
}

/** Turn the microphone off. */
export function closeMicrophone(stream) {
  for (const track of stream.getTracks()) track.stop();
}
