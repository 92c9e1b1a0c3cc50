// The clients of OpenAI and Vercel for Node, unmodified: node speak.mjs URL TEXT FOLDER
import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import { createOpenAI } from "@ai-sdk/openai";
import { experimental_generateSpeech as generateSpeech } from "ai";
import OpenAI from "openai";

const [url, text, folder] = process.argv.slice(2);
const baseURL = `${url}/v1`;
const keep = (name, bytes) => fs.writeFileSync(path.join(folder, name), bytes);

const client = new OpenAI({ baseURL, apiKey: "-", maxRetries: 0 });
for (const format of ["mp3", "opus", "aac", "flac", "wav", "pcm"]) {
  const speech = await client.audio.speech.create({
    model: "gpt-4o-mini-tts", voice: "alloy", input: text, response_format: format,
  });
  keep(`openai.${format}`, Buffer.from(await speech.arrayBuffer()));
}
const streamed = await client.audio.speech.create({
  model: "tts-1", voice: "alloy", input: text, response_format: "pcm",
});
let numChunks = 0;
for await (const _ of streamed.body) numChunks += 1;
assert.ok(numChunks > 1, "it came at once");
await assert.rejects(
  client.audio.speech.create({ model: "tts-1", voice: "nobody", input: text }),
  (error) => error instanceof OpenAI.BadRequestError && error.code === "voice_not_found",
);
const models = await client.models.list();
assert.ok(models.data.some((model) => model.id === "petit"));

const provider = createOpenAI({ baseURL, apiKey: "-" });
const { audio } = await generateSpeech({
  model: provider.speech("gpt-4o-mini-tts"), text, voice: "alloy", outputFormat: "wav",
});
keep("ai.wav", audio.uint8Array);
