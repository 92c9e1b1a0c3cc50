"""All speech is marked: every public door, and that nothing else takes sound from a model."""

from __future__ import annotations

import asyncio
import base64
import io
import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import av
import httpx
import numpy as np
import pytest
from numpy.typing import NDArray
from typer.testing import CliRunner
from wyoming.audio import AudioChunk, AudioStop
from wyoming.client import AsyncTcpClient
from wyoming.tts import Synthesize, SynthesizeVoice

from causerie import TTS, Audio, ConfigError, Segment, Watermark, WatermarkError, detect
from causerie.audio import play
from causerie.cli import app
from causerie.evaluate.speaking import Speaking
from causerie.integrations.speech import Local, Options
from causerie.reply.reply import UNMARKED
from causerie.watermark.key import KEY_VARIABLE, new_key, write_key
from causerie.watermark.mark import Marker
from causerie.watermark.silentcipher import SESAME_MESSAGE, CipherDetection, SilentCipher
from tests import tiny
from tests.server.running import Running, petit, receive, running, send
from tests.watermark.cipher import write_weights

TEXT = "The train to the coast leaves at seven, and it is usually late."
RATE = 24_000


def is_marked(sound: Audio | bytes, key: bytes | None = None) -> bool:
    """Whether a sound, or the 16-bit samples at 24 kHz of one, is marked."""
    if isinstance(sound, bytes):
        samples = np.frombuffer(sound, "<i2").astype(np.float32) / 32_768
        sound = Audio(samples=samples, sample_rate=RATE)
    assert sound.duration_s > 1.5
    return detect(sound, key).is_marked


# -- the library -----------------------------------------------------------------------------------


def test_replies_of_every_kind_are_marked_in_the_same_way() -> None:
    audio = petit().generate(TEXT, seed=1)
    assert is_marked(audio)
    assert audio.notes == []
    streamed = petit().stream([TEXT], seed=1)
    assert np.array_equal(np.concatenate(list(streamed)), audio.samples)

    async def collected() -> NDArray[np.float32]:
        reply = await petit().astream(TEXT, seed=1)
        return np.concatenate([chunk async for chunk in reply])

    assert np.array_equal(asyncio.run(collected()), audio.samples)


def test_another_speed_and_a_pause_keep_the_mark() -> None:
    audio = petit().generate(f"{TEXT} [pause 0.5s] {TEXT}", seed=1, speed=1.2)
    assert is_marked(audio)
    assert audio.samples.size % 1920  # the chunks had odd lengths


def test_off_is_the_sound_without_a_mark_and_is_said(
    caplog: pytest.LogCaptureFixture, tiny_folder: Path
) -> None:
    checkpoint = tiny.checkpoint()
    off = TTS(checkpoint, watermark=False).generate("Hello.", seed=1, max_duration_s=2)
    on = TTS(checkpoint).generate("Hello.", seed=1, max_duration_s=2)
    assert off.codes is not None
    assert on.codes is not None
    plain = checkpoint.codec.decode(off.codes[None])[0, 0].numpy()
    np.testing.assert_allclose(off.samples, plain, atol=1e-4)
    assert on.codes.equal(off.codes)
    marker = Marker(Watermark(), RATE)
    words = checkpoint.front_end("Hello.").text
    tokens = np.array(checkpoint.tokenizer.encode(words, 0), np.int32).tobytes()
    assert np.array_equal(marker.mark(off.samples, marker.begin(1, tokens)), on.samples)
    assert not np.array_equal(on.samples, off.samples)
    assert off.notes[0] == UNMARKED
    assert UNMARKED not in on.notes
    assert not caplog.records
    TTS.from_pretrained(tiny_folder, watermark=False)
    (line,) = [record.message for record in caplog.records if "watermark" in record.message]
    assert line == "watermark: off, so nothing marks the speech as generated"


def test_own_keys_and_payloads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key = new_key()
    checkpoint = petit().checkpoint
    own = TTS(checkpoint, watermark=Watermark(key=key, payload=777)).generate(TEXT, seed=1)
    assert detect(own, key).payload == 777
    assert not is_marked(own)
    monkeypatch.setenv(KEY_VARIABLE, str(write_key(tmp_path / "key", key)))
    assert TTS(checkpoint).watermark == Watermark(key=key)
    monkeypatch.setenv(KEY_VARIABLE, str(tmp_path / "gone"))
    with pytest.raises(WatermarkError, match="gone cannot be read"):
        TTS(checkpoint)
    with pytest.raises(ConfigError, match="must be a Watermark, True or False, not 'yes'"):
        TTS(checkpoint, watermark="yes")  # type: ignore[arg-type]


def test_models_at_other_rates_need_no_watermark() -> None:
    import dataclasses

    checkpoint = tiny.checkpoint()
    checkpoint.codec.config = dataclasses.replace(checkpoint.codec.config, sample_rate=16_000)
    with pytest.raises(WatermarkError, match="16000 Hz cannot be marked"):
        TTS(checkpoint)
    assert TTS(checkpoint, watermark=False).watermark is None


def test_recognizers_and_later_turns_get_unmarked_speech() -> None:
    pytest.importorskip("jiwer")
    pytest.importorskip("whisper_normalizer")
    heard: dict[bool, list[NDArray[np.float32]]] = {True: [], False: []}
    codes = []
    for is_on, samples in heard.items():

        def listen(pcm: NDArray[np.float32], samples: list[Any] = samples) -> str:
            samples.append(pcm)
            return TEXT

        tts = TTS(petit().checkpoint, recognizer=listen, watermark=is_on)
        audio = tts.generate(TEXT, seed=1, verify=True)
        later = tts.generate(
            "And then?", context=[Segment(speaker=0, text=TEXT, codes=audio.codes)], seed=1
        )
        codes.append((audio.codes, later.codes))
    assert np.array_equal(heard[True][0], heard[False][0])
    for one, other in zip(*codes, strict=True):
        assert one is not None
        assert one.equal(other)


# -- the command -----------------------------------------------------------------------------------


@pytest.fixture
def invoke(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(play, "sound_device", lambda: None)
    monkeypatch.setattr(play, "find_programs", list)

    def run(*arguments: str, code: int = 0) -> Any:
        done = CliRunner().invoke(app, arguments)
        assert done.exit_code == code, done.output
        return done

    return run


def test_what_say_writes_is_marked_and_found(invoke: Callable[..., Any]) -> None:
    invoke("say", TEXT, "-o", "a.mp3")
    assert "a.mp3: marked · p " in invoke("watermark", "check", "a.mp3").stdout
    invoke("watermark", "new-key", "own.key")
    invoke("say", TEXT, "-o", "b.wav", "--watermark-key", "own.key")
    facts = json.loads(invoke("watermark", "check", "b.wav", "--key", "own.key", "--json").stdout)
    assert (facts["file"], facts["marked"], facts["payload"]) == ("b.wav", True, 0)
    assert facts["segments"][0]["start_s"] == 0
    off = invoke("say", TEXT, "-o", "c.wav", "--no-watermark")
    assert UNMARKED in off.stderr
    checked = invoke("watermark", "check", "a.mp3", "b.wav", "c.wav", code=1).stdout
    assert [line.split(" · ")[0] for line in checked.splitlines()] == [
        "a.mp3: marked", "b.wav: not marked", "c.wav: not marked",
    ]  # fmt: skip


def test_bad_files_and_keys_are_told(invoke: Callable[..., Any]) -> None:
    Audio(samples=np.zeros(RATE, np.float32), sample_rate=RATE).save("quiet.wav")
    done = invoke("watermark", "check", "gone.wav", "quiet.wav", code=2)
    assert "audio file gone.wav cannot be opened" in done.stderr
    assert "quiet.wav: not marked · p 1" in done.stdout
    done = invoke("say", "Hi", "--watermark-key", "gone", code=2)
    assert "key file gone cannot be read" in done.stderr
    done = invoke("say", "Hi", "--watermark-key", "gone", "--no-watermark", code=2)
    assert "--no-watermark and --watermark-key exclude each other" in done.stderr
    invoke("watermark", "new-key", "own.key")
    assert "own.key exists" in invoke("watermark", "new-key", "own.key", code=2).stderr


def test_files_may_carry_the_mark_of_sesames_tool_too(
    invoke: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    write_weights(Path())
    invoke("say", "Yes.", "-o", "a.wav", "--seed", "1")
    invoke("say", "Yes.", "-o", "b.wav", "--seed", "1", "--silentcipher", ".")
    invoke("say", "Yes.", "--out-dir", "c", "--seed", "1", "--silentcipher", ".")
    plain, both, line = (Audio.load(name).samples for name in ("a.wav", "b.wav", "c/1.wav"))
    assert np.array_equal(both, line)
    assert 0.001 < np.linalg.norm(both - plain) / np.linalg.norm(plain) < 0.1
    for arguments in ((), ("-o", "d.wav", "--play"), ("-o", "-")):
        done = invoke("say", "Yes.", "--silentcipher", ".", *arguments, code=2)
        assert "--silentcipher marks whole files, not speech that is heard" in done.stderr
    done = invoke("say", "Yes.", "-o", "d.wav", "--silentcipher", "gone", code=2)
    assert "silentcipher's weights are missing: no gone/enc_c.ckpt" in done.stderr
    done = invoke("watermark", "check", "b.wav", "--silentcipher", ".", "--key", "k", code=2)
    assert "give --key or --silentcipher, not both" in done.stderr
    found = {
        "a.wav": CipherDetection(message=SESAME_MESSAGE, confidence=0.9, is_marked=True),
        "b.wav": CipherDetection(message=b"other", confidence=0.5, is_marked=False),
        "c/1.wav": CipherDetection(message=None, confidence=0.2, is_marked=False),
    }
    results = iter([*found.values()] * 2)
    monkeypatch.setattr(SilentCipher, "detect", lambda self, audio: next(results))
    check = ("watermark", "check", *found, "--silentcipher", ".")
    assert invoke(*check, code=1).stdout.splitlines() == [
        "a.wav: marked by silentcipher · 90% agree",
        "b.wav: not marked by silentcipher with Sesame's message, but perhaps with 6f74686572 · "
        "50% agree",
        "c/1.wav: not marked by silentcipher",
    ]
    facts = json.loads(invoke(*check, "--json", code=1).stdout.splitlines()[0])
    assert (facts["marked"], facts["message"]) == (True, "d4d39238c9")


def test_what_narrate_and_lines_write_is_marked(invoke: Callable[..., Any]) -> None:
    Path("book.txt").write_text(f"{TEXT}\n\n{TEXT}\n", encoding="utf-8")
    invoke("narrate", "book.txt", "-o", "book", "--format", "wav")
    (chapter,) = Path("book").glob("*.wav")
    assert is_marked(Audio.load(chapter))
    invoke("say", "--file", "book.txt", "--out-dir", "lines")
    assert is_marked(Audio.load("lines/1.wav"))


# -- plugins and reports ---------------------------------------------------------------------------


def test_plugins_and_reports_get_marked_speech() -> None:
    async def spoken() -> bytes:
        return b"".join(
            [pcm async for pcm in await Local(petit(), is_ours=False).speak(TEXT, Options())]
        )

    assert is_marked(asyncio.run(spoken()))
    speaking = Speaking(petit(), seed=1, voices=["heart"])
    assert is_marked(speaking.speak(TEXT, speaking.voices[0]).audio)


# -- the server ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("voices"), wyoming=0, allow_get=True) as here:
        yield here


def post(server: Running, path: str, **body: Any) -> httpx.Response:
    answer = httpx.post(server.http + path, json=body, timeout=60)
    assert answer.status_code == 200, answer.text
    return answer


@pytest.mark.parametrize("format", "mp3 opus aac flac wav".split())
def test_speech_over_http(server: Running, format: str) -> None:
    answer = post(server, "/v1/audio/speech", input=TEXT, response_format=format)
    assert is_marked(Audio.load(answer.content))


def test_sound_of_clients_beside_each_other_is_marked_in_every_format(server: Running) -> None:
    paths = [f"/v1/audio/speech {format}" for format in "mp3 opus aac flac wav pcm ulaw".split()]
    paths += [
        f"/v1/text-to-speech/mia?output_format={format} {format.partition('_')[0]}"
        for format in ("mp3_22050_32", "opus_48000_32", "pcm_16000", "ulaw_8000")
    ]
    rates = {"pcm": 24_000, "pcm_16000": 16_000, "ulaw": 8_000}

    def heard(path: str) -> Audio:
        route, format = path.split()
        body = {"text": TEXT} if "?" in route else {"input": TEXT, "response_format": format}
        content = post(server, route, **body).content
        raw = {"pcm": "s16le", "ulaw": "mulaw"}.get(format)
        if raw is None:
            return Audio.load(content)
        rate = rates["pcm_16000" if "pcm_16000" in route else format]
        with av.open(io.BytesIO(content), format=raw, options={"sample_rate": str(rate)}) as file:
            sound = np.concatenate([frame.to_ndarray()[0] for frame in file.decode(audio=0)])
        return Audio(samples=sound.astype(np.float32) / 32_768, sample_rate=rate)

    with ThreadPoolExecutor(5) as clients:  # as many as are spoken, or wait, at a time
        for path, audio in zip(paths, clients.map(heard, paths), strict=True):
            assert is_marked(audio), path


def test_the_other_routes_of_openai_and_vllm(server: Running) -> None:
    answer = post(
        server, "/v1/audio/speech", input=TEXT, response_format="pcm", stream_format="sse"
    )
    events = [json.loads(line[6:]) for line in answer.text.splitlines() if line[:6] == "data: "]
    assert is_marked(b"".join(base64.b64decode(event.get("audio", "")) for event in events))
    batch = post(
        server, "/v1/audio/speech/batch", items=[{"input": TEXT}], response_format="pcm"
    ).json()
    assert is_marked(base64.b64decode(batch["results"][0]["audio_data"]))
    turns = [{"voice": "heart", "text": TEXT}, {"voice": "theo", "text": "Oh, really?"}]
    assert is_marked(post(server, "/v1/audio/dialogue", turns=turns, response_format="pcm").content)
    got = httpx.get(f"{server.http}/v1/audio/speech.wav", params={"input": TEXT}, timeout=60)
    assert is_marked(Audio.load(got.content))
    shown = httpx.get(f"{server.http}/v1/audio/voices/heart/preview", timeout=60)
    assert is_marked(Audio.load(shown.content))


def test_the_routes_of_elevenlabs(server: Running) -> None:
    for kind in "", "/stream":
        path = f"/v1/text-to-speech/heart{kind}?output_format=pcm_24000"
        assert is_marked(post(server, path, text=TEXT).content)
    for kind in "/with-timestamps", "/stream/with-timestamps":
        path = f"/v1/text-to-speech/heart{kind}?output_format=pcm_24000"
        lines = post(server, path, text=TEXT).text.splitlines()
        assert is_marked(
            b"".join(base64.b64decode(json.loads(line)["audio_base64"]) for line in lines)
        )
    path = "/v1/text-to-speech/heart/stream-input?output_format=pcm_24000"
    with server.connect(path) as socket:
        send(socket, text=f"{TEXT} ")
        send(socket, text="")
        messages = [receive(socket)]
        while not messages[-1].get("isFinal"):
            messages.append(receive(socket))
    assert is_marked(b"".join(base64.b64decode(one["audio"] or "") for one in messages))
    path = "/v1/text-to-speech/heart/multi-stream-input?output_format=pcm_24000"
    with server.connect(path) as socket:
        send(socket, text=f"{TEXT} ", context_id="a", flush=True)
        send(socket, context_id="a", close_context=True)
        messages = [receive(socket)]
        while not messages[-1].get("isFinal"):
            messages.append(receive(socket))
    assert is_marked(b"".join(base64.b64decode(one.get("audio") or "") for one in messages))


def test_the_websockets_of_vllm_and_realtime(server: Running) -> None:
    with server.connect("/v1/audio/speech/stream") as socket:
        send(socket, type="input.text", text=TEXT)
        send(socket, type="input.done")
        sound = b""
        while (
            isinstance(message := socket.recv(timeout=60), bytes) or "session.done" not in message
        ):
            sound += message if isinstance(message, bytes) else b""
    assert is_marked(sound)
    with server.connect("/v1/realtime") as socket:
        content = [{"type": "input_text", "text": TEXT}]
        send(socket, type="response.create", response={"input": [{"content": content}]})
        messages = [receive(socket)]
        while messages[-1]["type"] != "response.done":
            messages.append(receive(socket))
    deltas = [one["delta"] for one in messages if one["type"] == "response.output_audio.delta"]
    assert is_marked(b"".join(map(base64.b64decode, deltas)))


def test_wyoming(server: Running) -> None:
    async def heard() -> bytes:
        client = AsyncTcpClient("127.0.0.1", server.wyoming)
        await client.connect()
        voice = SynthesizeVoice(name="theo")
        await client.write_event(Synthesize(text=TEXT, voice=voice).event())
        sound = b""
        while not AudioStop.is_type((event := await client.read_event()).type):
            if AudioChunk.is_type(event.type):
                sound += AudioChunk.from_event(event).audio
        await client.disconnect()
        return sound

    assert is_marked(asyncio.run(asyncio.wait_for(heard(), 60)))


# -- the server's word on it -----------------------------------------------------------------------


def ask(server: Running, sound: bytes, name: str = "a.wav") -> httpx.Response:
    return httpx.post(
        f"{server.http}/v1/audio/watermark", files={"file": (name, sound)}, timeout=60
    )


def test_the_server_finds_its_mark(server: Running) -> None:
    speech = post(server, "/v1/audio/speech", input=TEXT, response_format="mp3").content
    facts = ask(server, speech).json()
    assert facts["marked"] is True
    assert (facts["payload"], facts["speed"], facts["pitch"]) == (0, 1, 1)
    assert facts["p"] < 1e-10
    assert facts["segments"][0]["start_s"] == 0
    noise = np.random.default_rng(0).standard_normal(RATE).astype(np.float32) / 10
    facts = ask(server, Audio(samples=noise, sample_rate=RATE).to_bytes()).json()
    assert (facts["marked"], facts["payload"], facts["segments"]) == (False, None, [])


def test_uploads_to_examine_are_limited(tmp_path: Path) -> None:
    with running(tmp_path, TTS(tiny.checkpoint()), max_upload_mb=0.5) as here:
        answer = ask(here, b"no sound")
        assert (answer.status_code, answer.json()["error"]["code"]) == (415, "invalid_audio")
        answer = ask(here, bytes(600_000))
        assert (answer.status_code, answer.json()["error"]["code"]) == (413, "too_large")
        long = Audio(samples=np.zeros(121 * RATE, np.float32), sample_rate=RATE)
        answer = ask(here, long.to_bytes(format="flac"))
        assert (answer.status_code, answer.json()["error"]["code"]) == (413, "too_large")
        assert ask(here, b"").status_code == 400


@pytest.mark.parametrize("is_on", [True, False])
def test_a_server_says_whether_it_marks(tmp_path: Path, is_on: bool) -> None:
    with running(tmp_path, TTS(tiny.checkpoint(), watermark=is_on)) as here:
        assert httpx.get(f"{here.http}/ready").json()["watermark"] is is_on
        assert httpx.get(f"{here.http}/v1/models").json()["data"][0]["watermark"] is is_on
        assert httpx.get(f"{here.http}/v1/models/tts-1").json()["watermark"] is is_on
        answer = post(here, "/v1/audio/speech", input="Hello.", response_format="pcm", seed=1)
        notes = json.loads(answer.headers.get("x-notes", "[]"))
        assert (UNMARKED in notes) is not is_on
