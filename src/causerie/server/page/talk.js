/** The Talk tab: a spoken conversation with the server. */

import { Conversation } from "./conversation.js";
import { announce, byId, setIcon } from "./dom.js";
import { audioContext } from "./player.js";
import { ask } from "./server.js";
import { TalkLog } from "./talk-log.js";
import { listIn, voices } from "./voices.js";

let conversation; // while it lasts
let log;

const isButton = () => byId("talk-button").checked;
const showError = (message) => (byId("talk-error").textContent = message);

/** What happens, in words. */
function described() {
  if (!conversation) return "";
  const name = voices.name(voices.chosen).replace(/^./u, (letter) => letter.toUpperCase());
  return {
    connecting: "Connecting…",
    listening: isButton() ? "Hold the button while you speak" : "Listening: say something",
    hearing: "You are speaking",
    thinking: `${name} is about to answer`,
    speaking: `${name} is speaking`,
  }[conversation.state];
}

function show() {
  const isOn = Boolean(conversation);
  if (isOn && conversation.state === "hearing") showError(""); // of an earlier turn
  const go = byId("talk-go");
  go.querySelector("span").textContent = isOn ? "Stop" : "Start talking";
  go.classList.toggle("stopping", isOn);
  setIcon(go, isOn ? "stop" : "mic");
  byId("talk-hold").hidden = !isOn || !isButton();
  byId("talk-hold").setAttribute("aria-pressed", isOn && conversation.state === "hearing");
  byId("talk-state").textContent = described();
  const tab = byId("tab-talk");
  tab.classList.toggle("live", isOn);
  if (isOn) tab.setAttribute("aria-label", "Talk, the microphone is on");
  else tab.removeAttribute("aria-label");
  for (const [id, state] of [["talk-you", "hearing"], ["talk-voice", "speaking"]]) {
    byId(id).closest(".seat").classList.toggle("active", isOn && conversation.state === state);
  }
}

/** Draw both levels on every frame while the conversation lasts. */
function animate() {
  showLevel(byId("talk-you-level"), conversation?.userLevel ?? 0);
  showLevel(byId("talk-voice-level"), conversation?.voiceLevel ?? 0);
  if (conversation) requestAnimationFrame(animate);
}

function showLevel(meter, level) {
  const loud = Math.min(1, level) ** 0.5; // closer to how loud it sounds
  meter.style.setProperty("--level", loud.toFixed(3));
  meter.setAttribute("aria-valuenow", 10 * Math.round(10 * loud));
}

async function begin() {
  showError("");
  audioContext(); // now, while the browser knows of the click
  const mine = new Conversation(
    { voice: voices.chosen, isButton: isButton() },
    {
      onLine: (line) => {
        byId("talk-empty").hidden = true;
        log.show(line);
      },
      onReady: () => {
        show();
        if (isButton()) byId("talk-hold").focus();
        announce(described());
      },
      onChange: show,
      onNotice: showError,
      onEnd: (reason) => end(reason),
    },
  );
  conversation = mine;
  log.begin();
  show();
  animate();
  try {
    await showPartner();
    if (conversation === mine) await mine.start();
  } catch (error) {
    if (conversation === mine) end(error.message);
  }
}

/** Show that the conversation has ended; without a reason, the user has ended it. */
function end(reason) {
  const hadFocus = document.activeElement === byId("talk-hold");
  conversation = undefined;
  show();
  if (hadFocus) byId("talk-go").focus();
  if (reason) showError(reason);
  else announce("The conversation has ended");
}

/** Say what answers, or what is missing. */
async function showPartner() {
  const { llm, missing } = await (await ask("v1/realtime")).json();
  if (missing) throw new Error(missing);
  byId("talk-partner").textContent = llm
    ? `The language model ${llm} answers. It gets your words, not your sound.`
    : "No language model answers: your own words are said back. Start the server with --llm to change that.";
}

/** The button that is held: by pointer, by Space or Enter, or pressed twice by assistive technology. */
function enableHolding(button) {
  const press = () => conversation?.press();
  const release = () => conversation?.release();
  button.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    button.setPointerCapture(event.pointerId);
    press();
  });
  for (const end of ["pointerup", "pointercancel", "blur"]) button.addEventListener(end, release);
  button.addEventListener("contextmenu", (event) => event.preventDefault()); // a long touch
  for (const [kind, act] of [["keydown", press], ["keyup", release]]) {
    button.addEventListener(kind, (event) => {
      if (event.key !== " " && event.key !== "Enter") return;
      event.preventDefault();
      if (!event.repeat) act();
    });
  }
  button.addEventListener("click", (event) => {
    if (event.detail) return; // of a pointer
    if (conversation?.state === "hearing") release();
    else press();
  });
}

export function start() {
  log = new TalkLog();
  byId("talk-go").onclick = () => (conversation ? conversation.stop() : begin());
  enableHolding(byId("talk-hold"));
  byId("talk-button").onchange = () => {
    conversation?.setButton(isButton());
    show();
  };
  const select = byId("talk-voice");
  select.onchange = () => (voices.chosen = select.value);
  voices.addEventListener("change", () => listIn(select, voices.chosen));
  voices.addEventListener("chosen", () => {
    select.value = voices.chosen;
    select.closest(".seat").style.setProperty("--hue", voices.hue(voices.chosen));
    conversation?.setVoice(voices.chosen);
    show();
  });
  const shown = () => {
    if (!conversation) showPartner().then(() => showError(""), (error) => showError(error.message));
  };
  addEventListener("key-entered", () => byId("talk").hidden || shown());
  return { shown };
}
