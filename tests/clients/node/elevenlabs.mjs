// ElevenLabs' client for Node, unmodified: node elevenlabs.mjs URL
import assert from "node:assert/strict";
import { ElevenLabsClient } from "@elevenlabs/elevenlabs-js";

const george = "JBFqnCBsd6RMkjVDRZzb";
const client = new ElevenLabsClient({ baseUrl: process.argv[2], apiKey: "-" });
const models = await client.models.list();
assert.ok(models.some((model) => model.modelId === "petit"));
for (const { voices } of [await client.voices.getAll(), await client.voices.search()]) {
  assert.ok(voices.some((voice) => voice.voiceId === "heart"));
}
assert.equal((await client.voices.get(george)).name, "George");
assert.equal((await client.voices.settings.get("heart")).speed, 1);
assert.equal((await client.user.get()).subscription.status, "active");
assert.equal((await client.user.subscription.get()).status, "active");
for (const audio of [
  await client.textToSpeech.convert(george, { text: "Hello.", outputFormat: "pcm_24000" }),
  await client.textToDialogue.convert({ inputs: [{ text: "Hello.", voiceId: george }] }),
]) {
  let numBytes = 0;
  for await (const chunk of audio) numBytes += chunk.length;
  assert.ok(numBytes > 1000);
}
