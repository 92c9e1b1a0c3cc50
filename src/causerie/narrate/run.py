"""Narrates a document: its chapters in parts, each part a reply in the same voice.

A part is a heading, or paragraphs of about 1,200 characters. Its context is the voice alone, so the
voice cannot drift however long the text is. Several parts are spoken at the same time. Finished
parts are kept in a folder beside the output until all are finished, so that an interrupted run goes
on where it was. The result does not depend on interruptions.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from causerie.audio.audio import Check
from causerie.audio.book import WITH_CHAPTERS, Mark, write_book
from causerie.errors import AudioError, TextError
from causerie.files import write_bytes
from causerie.narrate.document import Chapter, Document
from causerie.narrate.level import SILENCE_DB, gains_db, level_db, levelled
from causerie.narrate.subtitles import subtitles
from causerie.narrate.work import Spoken, Work
from causerie.tts import TTS
from causerie.word_times.align import WordTime, word_times

#: Called with the current work, the characters that are spoken, and those of this run.
OnProgress = Callable[[str, int, int], None]

#: A part ends with the paragraph that makes it this long.
PART_CHARS = 1_200
#: Parts that are spoken at the same time.
NUM_STREAMS = 4
#: Silence before a chapter, after its heading, between parts, and after a chapter.
LEAD_S, HEADING_S, PAUSE_S, END_S = 0.5, 0.8, 0.4, 1.5


@dataclass(frozen=True)
class Part:
    """A text that one reply speaks.

    Attributes:
        key: identifies text and settings.
    """

    text: str
    is_heading: bool
    key: str


@dataclass(frozen=True, kw_only=True)
class Finished:
    """A chapter that is spoken.

    Attributes:
        start_s: where it begins in its file.
    """

    title: str
    file: Path
    start_s: float
    end_s: float


@dataclass
class Narration:
    """What a run wrote.

    Attributes:
        files: of audio, then of subtitles.
        notes: what was left out or cut, with its chapter.
        checks: of the pieces that were verified.
    """

    files: list[Path] = field(default_factory=list)
    chapters: list[Finished] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    checks: list[Check] = field(default_factory=list)
    seconds: float = 0.0


def narrate(
    document: Document,
    chosen: Sequence[int],
    tts: TTS,
    output: Path,
    *,
    format: str,
    in_one_file: bool,
    formats: Sequence[str] = (),
    speaking: Mapping[str, Any],
    identity: Sequence[str],
    on_progress: OnProgress,
) -> Narration:
    """Speak chapters of a document into one file, or into a file each.

    Args:
        chosen: indices of the chapters.
        output: the file, or the folder.
        format: extension of the audio.
        formats: of subtitles, which are beside the audio.
        speaking: arguments of `TTS.stream`.
        identity: what else the sound depends on, such as the model and the voice.

    Raises:
        AudioError, ConfigError: the output cannot be written, or another run writes it.
        UnknownVoiceError, PromptTooLongError: as `TTS.stream`.
    """
    place = output.parent / f".{output.name}.narrate" if in_one_file else output / ".narrate"
    chapters = [document.chapters[index] for index in chosen]
    parts = [list(parts_of(chapter, identity)) for chapter in chapters]
    result = Narration()
    with Work(place) as work:
        writer = _Writer(document, tts.sample_rate, work, result, formats)
        if in_one_file:
            _speak(tts, [part for some in parts for part in some], work, speaking, on_progress)
            on_progress("writing", 0, 1)
            writer.write(output, list(zip(chapters, parts, strict=True)), chosen)
        else:
            total = sum(work.missing_chars(some) for some in parts)
            done = 0
            for index, chapter, some in zip(chosen, chapters, parts, strict=True):

                def shown(work_: str, count: int, _: int, before: int = done) -> None:
                    on_progress(work_, before + count, total)

                left = work.missing_chars(some)
                _speak(tts, some, work, speaking, shown, chapter.title)
                done += left
                name = f"{index + 1:0{max(2, len(str(len(document.chapters))))}} "
                path = output / f"{name}{file_name(chapter.title)}.{format}"
                writer.write(path, [(chapter, some)], [index])
        work.remove()
    result.files.sort(key=lambda file: file.suffix[1:] != format)
    return result


def parts_of(chapter: Chapter, identity: Sequence[str]) -> Iterator[Part]:
    """The parts of a chapter."""
    waiting: list[str] = []

    def part(text: str, *, is_heading: bool = False) -> Part:
        facts = json.dumps([*identity, text])
        return Part(text, is_heading, hashlib.blake2b(facts.encode(), digest_size=12).hexdigest())

    if chapter.heading:
        yield part(chapter.heading, is_heading=True)
    for paragraph in _whole_fences(chapter.text):
        waiting.append(paragraph)
        if sum(map(len, waiting)) >= PART_CHARS:
            yield part("\n\n".join(waiting))
            waiting = []
    if any(text.strip() for text in waiting):
        yield part("\n\n".join(waiting))


def _whole_fences(text: str) -> Iterator[str]:
    """Paragraphs; a block of code with its blank lines is one."""
    waiting: list[str] = []
    fence = ""
    for paragraph in re.split(r"\n[ \t]*\n", text):
        waiting.append(paragraph)
        for line in paragraph.splitlines():
            mark = re.match(r" {0,3}(`{3,}|~{3,})", line)
            if not fence and mark:
                fence = mark[1]
            elif fence and line.strip().startswith(fence) and not line.strip(" `~"):
                fence = ""
        if not fence:
            yield "\n\n".join(waiting)
            waiting = []
    if waiting:
        yield "\n\n".join(waiting)


def _speak(
    tts: TTS,
    parts: Sequence[Part],
    work: Work,
    speaking: Mapping[str, Any],
    on_progress: OnProgress,
    title: str = "",
) -> None:
    """Speak the parts that are not finished."""
    missing = {part.key: part for part in parts if not work.has(part.key)}
    total = sum(len(part.text) for part in missing.values())
    done = 0
    what = f"speaking {title}" if title else "speaking"
    on_progress(what, 0, total)
    with ThreadPoolExecutor(NUM_STREAMS) as pool:
        jobs = {
            pool.submit(_speak_part, tts, part, work, speaking): part for part in missing.values()
        }
        try:
            for job in as_completed(jobs):
                job.result()
                done += len(jobs[job].text)
                on_progress(what, done, total)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _speak_part(tts: TTS, part: Part, work: Work, speaking: Mapping[str, Any]) -> None:
    try:
        stream = tts.stream(part.text, **speaking)
    except TextError as error:  # only code, or another script
        work.save(part.key, Spoken(np.zeros(0, np.float32), [], SILENCE_DB, [f"skipped: {error}"]))
        return
    audio = stream.collect()
    times = word_times(
        audio.samples,
        audio.sample_rate,
        stream.spoken_pieces(),
        tts.checkpoint.front_end.lexicon,
    )
    level = level_db(audio.samples, audio.sample_rate)
    spoken = Spoken(audio.samples, times, level, audio.notes, audio.checks)
    work.save(part.key, spoken, audio.sample_rate)


@dataclass
class _Writer:
    """Writes files from the parts that are finished."""

    document: Document
    sample_rate: int
    work: Work
    result: Narration
    formats: Sequence[str]

    def write(
        self, path: Path, chapters: Sequence[tuple[Chapter, Sequence[Part]]], numbers: Sequence[int]
    ) -> None:
        """Write one audio file with chapters, and its subtitles."""
        layouts: list[_Layout] = []
        at = 0.0
        for chapter, parts in chapters:
            layouts.append(self._layout(chapter, parts, at))
            at = layouts[-1].end_s
        marks = [Mark(layout.title, layout.start_s, layout.end_s) for layout in layouts]
        alone = len(layouts) == 1
        tags = {
            "title": layouts[0].title if alone else self.document.title,
            "album": self.document.title,
            "artist": self.document.author,
            "genre": "Audiobook",
            "language": self.document.language,
            "track": f"{numbers[0] + 1}/{len(self.document.chapters)}" if alone else "",
        }
        write_book(
            path,
            (block for layout in layouts for block in self._blocks(layout)),
            self.sample_rate,
            marks=marks,
            tags=tags,
            cover=self.document.cover,
        )
        if not alone and path.suffix[1:].lower() not in WITH_CHAPTERS:
            self.result.notes.append(f"{path.suffix} files hold no chapters")
        self.result.files.append(path)
        self.result.seconds += at
        for layout in layouts:
            self.result.chapters.append(
                Finished(title=layout.title, file=path, start_s=layout.start_s, end_s=layout.end_s)
            )
        words = [word for layout in layouts for word in layout.words]
        for format in self.formats:
            beside = path.with_suffix(f".{format}")
            try:
                write_bytes(beside, subtitles(words, format).encode())
            except OSError as error:
                raise AudioError(f"cannot write {beside}: {error.strerror}") from error
            self.result.files.append(beside)

    def _layout(self, chapter: Chapter, parts: Sequence[Part], start_s: float) -> _Layout:
        spoken = [self.work.load_facts(part.key) for part in parts]
        for facts in spoken:
            self.result.checks += facts.checks
            for note in facts.notes:
                line = f"{chapter.title}: {note}"
                if line not in self.result.notes:
                    self.result.notes.append(line)
        layout = _Layout(chapter.title, start_s, start_s)
        layout.add_silence(LEAD_S)
        gains = gains_db([facts.level_db for facts in spoken], [f.seconds for f in spoken])
        for number, (part, facts) in enumerate(zip(parts, spoken, strict=True)):
            near = gains[max(0, number - 1)], gains[number], gains[min(number + 1, len(gains) - 1)]
            layout.words += [word.later(layout.end_s) for word in facts.words]
            layout.add(part.key, near, facts.num_samples / self.sample_rate)
            if facts.num_samples:
                layout.add_silence(HEADING_S if part.is_heading else PAUSE_S)
        layout.add_silence(END_S)
        return layout

    def _blocks(self, layout: _Layout) -> Iterator[NDArray[np.float32]]:
        for item in layout.items:
            if isinstance(item, float):
                yield np.zeros(round(item * self.sample_rate), np.float32)
            else:
                key, gains = item
                yield levelled(self.work.load_samples(key), self.sample_rate, *gains)


@dataclass
class _Layout:
    """The parts and pauses of a chapter."""

    title: str
    start_s: float
    end_s: float
    items: list[float | tuple[str, tuple[float, float, float]]] = field(default_factory=list)
    words: list[WordTime] = field(default_factory=list)

    def add_silence(self, seconds: float) -> None:
        self.items.append(seconds)
        self.end_s += seconds

    def add(self, key: str, gains: tuple[float, float, float], seconds: float) -> None:
        self.items.append((key, gains))
        self.end_s += seconds


def file_name(title: str) -> str:
    """A title without the characters that file systems refuse."""
    name = re.sub(r'[\x00-\x1f/\\:*?"<>|]+', " ", title)
    return " ".join(name.split())[:80].strip(". ") or "untitled"
