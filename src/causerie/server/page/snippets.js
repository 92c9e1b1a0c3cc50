/**
 * Programs that speak through this server, filled with what is on the page.
 *
 * Knows no document, so that other programs can import it: the tests run what it writes.
 */

/** A string as Python and JavaScript both write it. */
const quoted = (text) => JSON.stringify(text);

/** A string as one word of a POSIX shell. */
const shell = (text) => `'${text.replaceAll("'", "'\\''")}'`;

/** A string as YAML writes it: JSON is a part of YAML. */
const yaml = quoted;

/**
 * @param {object} now
 * @param {string} now.base address of the server, with the slash at its end
 * @param {string} now.text
 * @param {string} now.voice
 * @param {string} now.model
 * @param {object} now.extra further fields of the request: temperature, speed, seed
 * @param {boolean} now.key whether the server wants a key, which is never written down here
 * @returns {{id: string, name: string, note: string, language: string, code: string}[]}
 */
export function snippets({ base, text, voice, model, extra = {}, key = false }) {
  const v1 = new URL("v1", base).href;
  const { hostname } = new URL(base);
  const { speed, ...ours } = extra;
  const paid = key ? 'os.environ["CAUSERIE_API_KEY"]' : '"not-needed"';
  const os = key ? "import os\n\n" : "";
  const pythonExtra =
    (speed === undefined ? "" : `\n    speed=${speed},`) +
    (Object.keys(ours).length ? `\n    extra_body=${quoted(ours)},` : "");
  const ourKey = key ? `\n    api_key=${paid},` : "";
  const { temperature, seed } = ours;
  const sampling = Object.entries({ temperature, seed })
    .map(([name, value]) => (value === undefined ? "" : `, ${name}=${value}`)).join("");
  const nodeExtra =
    (speed === undefined ? "" : `\n  speed: ${speed},`) +
    Object.entries(ours).map(([name, value]) => `\n  ${name}: ${value},`).join("");
  const authorization = key ? ' \\\n  -H "Authorization: Bearer $CAUSERIE_API_KEY"' : "";

  return [
    {
      id: "curl",
      name: "curl",
      note: "Saves an mp3. With response_format pcm, and a player behind a pipe, it is heard at once.",
      language: "shell",
      code: `curl ${v1}/audio/speech${authorization} \\
  -H 'Content-Type: application/json' \\
  -d ${shell(JSON.stringify({ input: text, voice, ...extra }))} \\
  -o speech.mp3`,
    },
    {
      id: "python",
      name: "Python",
      note: "pip install openai",
      language: "python",
      code: `${os}from openai import OpenAI

client = OpenAI(base_url=${quoted(v1)}, api_key=${paid})
with client.audio.speech.with_streaming_response.create(
    model=${quoted(model)},
    voice=${quoted(voice)},
    input=${quoted(text)},${pythonExtra}
) as speech:
    speech.stream_to_file("speech.mp3")`,
    },
    {
      id: "javascript",
      name: "JavaScript",
      note: "npm install openai",
      language: "javascript",
      code: `import { writeFile } from "node:fs/promises";
import OpenAI from "openai";

const client = new OpenAI({
  baseURL: ${quoted(v1)},
  apiKey: ${key ? "process.env.CAUSERIE_API_KEY" : '"not-needed"'},
});
const speech = await client.audio.speech.create({
  model: ${quoted(model)},
  voice: ${quoted(voice)},
  input: ${quoted(text)},${nodeExtra}
});
await writeFile("speech.mp3", Buffer.from(await speech.arrayBuffer()));`,
    },
    {
      id: "pipecat",
      name: "pipecat",
      note: 'pip install "causerie[pipecat]"',
      language: "python",
      code: `${os}from causerie.integrations.pipecat import CauserieTTSService

tts = CauserieTTSService(
    base_url=${quoted(base)},${ourKey}
    settings=CauserieTTSService.Settings(voice=${quoted(voice)}${sampling}),
)
# Between the language model and the loudspeaker:
# Pipeline([transport.input(), stt, llm, tts, transport.output()])`,
    },
    {
      id: "livekit",
      name: "LiveKit",
      note: 'pip install "causerie[livekit]"',
      language: "python",
      code: `${os}from causerie.integrations.livekit import TTS

tts = TTS(
    base_url=${quoted(base)},${ourKey}
    voice=${quoted(voice)}${sampling},
)
# session = AgentSession(stt=…, llm=…, tts=tts)`,
    },
    {
      id: "home-assistant",
      name: "Home Assistant",
      note: `Start the server with --wyoming 10200. In Home Assistant, add the integration Wyoming Protocol
with host ${hostname} and port 10200; then this action speaks.`,
      language: "yaml",
      code: `action: tts.speak
target:
  entity_id: tts.causerie
data:
  media_player_entity_id: media_player.living_room
  message: ${yaml(text)}
  options:
    voice: ${yaml(voice)}`,
    },
  ];
}
