// OpenAI's agents for JavaScript, unmodified, over WebSocket: node realtime.mjs URL SOUND FOLDER
// SOUND holds a spoken question as 16-bit samples at 24 kHz. Writes answer.pcm, and prints what
// happened as JSON.
import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import { OpenAIRealtimeWebSocket, RealtimeAgent, RealtimeSession, tool } from "@openai/agents-realtime";
import { z } from "zod";

const [url, sound, folder] = process.argv.slice(2);
const question = fs.readFileSync(sound);
const calls = [];
const distance = tool({
  name: "distance",
  description: "How far a place is.",
  parameters: z.object({ place: z.string() }),
  execute: async (given) => {
    calls.push(given);
    return "six hundred metres";
  },
});

// A session that is connected, and what happens in it.
async function connected(tools = []) {
  const agent = new RealtimeAgent({ name: "Guide", instructions: "You live here.", tools });
  const transport = new OpenAIRealtimeWebSocket({ url: `${url}?model=gpt-realtime` });
  const session = new RealtimeSession(agent, { transport });
  const here = { session, audio: [], events: [], errors: [], wire: [] };
  session.on("audio", ({ data }) => here.audio.push(Buffer.from(data)));
  session.on("error", (error) => here.errors.push(error));
  session.on("audio_interrupted", () => here.events.push("interrupted"));
  session.on("agent_tool_start", (_context, _agent, { name }) => here.events.push(`tool ${name}`));
  session.on("agent_end", (_context, _agent, text) => here.events.push(`said ${text}`));
  session.on("transport_event", (event) => here.wire.push(event.type));
  await session.connect({ apiKey: "-" });
  return here;
}

async function until(here, condition) {
  for (let waited = 0; !condition(); waited += 10) {
    assert.deepEqual(here.errors, []);
    assert.ok(waited < 60_000, `it never happened: ${here.events} after ${here.wire}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

const ask = ({ session }) => {
  for (let start = 0; start < question.length; start += 9600) {
    const part = question.subarray(start, start + 9600);
    session.sendAudio(part.buffer.slice(part.byteOffset, part.byteOffset + part.length));
  }
};
const ended = (here) => here.events.filter((event) => event.startsWith("said "));
const history = ({ session }) =>
  session.history
    .filter((item) => item.type === "message")
    .map(({ role, status, content: [part] }) => [role, status, part.transcript ?? part.text]);

// A spoken question.
const spoken = await connected();
ask(spoken);
await until(spoken, () => ended(spoken).length === 1);
fs.writeFileSync(path.join(folder, "answer.pcm"), Buffer.concat(spoken.audio));
await until(spoken, () => history(spoken).every(([, , text]) => text));

// A question in text, whose answer is interrupted: by the program, and by speech.
const interrupted = [];
for (const isSpoken of [false, true]) {
  const here = await connected();
  here.session.sendMessage("Tell me a story.");
  await until(here, () => Buffer.concat(here.audio).length > 48_000);
  if (isSpoken) ask(here);
  else here.session.interrupt();
  await until(here, () => here.wire.includes("conversation.item.retrieved"));
  await until(here, () => ended(here).length === (isSpoken ? 2 : 1));
  interrupted.push({ events: here.events, history: history(here) });
  here.session.close();
}

// A question that needs a tool.
const called = await connected([distance]);
ask(called);
await until(called, () => ended(called).length === 2);
const items = called.session.history.filter((item) => item.type === "function_call");

console.log(
  JSON.stringify({
    spoken: { events: spoken.events, history: history(spoken), usage: spoken.session.usage },
    interrupted,
    called: { events: called.events, calls, items },
  }),
);
spoken.session.close();
called.session.close();
