/**
 * Programs that use this server, with the text and options of the page.
 *
 * Does not use the document, so the tests can import it and run the programs.
 */

/** A string literal of Python and JavaScript. */
const quoted = (text) => JSON.stringify(text);

/** A string quoted for a POSIX shell. */
const shell = (text) => `'${text.replaceAll("'", "'\\''")}'`;

/** A YAML string: JSON is a subset of YAML. */
const yaml = quoted;

/**
 * @param {object} state
 * @param {string} state.base URL of the server, ending in a slash
 * @param {string} state.text
 * @param {string} state.voice
 * @param {string} state.model
 * @param {object} state.extra more request fields: temperature, speed, seed
 * @param {boolean} state.key whether the server requires a key; the programs read it from the environment
 * @returns {{id: string, name: string, note: string, language: string, code: string}[]}
 */
export function snippets({ base, text, voice, model, extra = {}, key = false }) {
  const v1 = new URL("v1", base).href;
  const { hostname } = new URL(base);
  const { speed, ...ours } = extra;
  const apiKey = key ? 'os.environ["CAUSERIE_API_KEY"]' : '"not-needed"';
  const importOs = key ? "import os\n\n" : "";
  const pythonExtra =
    (speed === undefined ? "" : `\n    speed=${speed},`) +
    (Object.keys(ours).length ? `\n    extra_body=${quoted(ours)},` : "");
  const pluginKey = key ? `\n    api_key=${apiKey},` : "";
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
      note: "Saves an mp3 file. To play speech while it is generated, request response_format pcm and pipe it to a player.",
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
      code: `${importOs}from openai import OpenAI

client = OpenAI(base_url=${quoted(v1)}, api_key=${apiKey})
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
      code: `${importOs}from causerie.integrations.pipecat import CauserieTTSService

tts = CauserieTTSService(
    base_url=${quoted(base)},${pluginKey}
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
      code: `${importOs}from causerie.integrations.livekit import TTS

tts = TTS(
    base_url=${quoted(base)},${pluginKey}
    voice=${quoted(voice)}${sampling},
)
# session = AgentSession(stt=…, llm=…, tts=tts)`,
    },
    {
      id: "home-assistant",
      name: "Home Assistant",
      note: `Start the server with --wyoming 10200. In Home Assistant, add the integration Wyoming Protocol
with host ${hostname} and port 10200. Then this action speaks:`,
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
