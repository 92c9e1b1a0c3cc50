"""Recognizes sounds and styles in a text, such as [laughs], <sigh>, (clears throat) and *gasps*.

The words are those that Orpheus, Dia, Bark, ElevenLabs and fine-tunes of CSM use. A model speaks
the tags that it was trained with; others leave them out. Does not know models.
"""

from __future__ import annotations

import re

_STEMS = (
    "laugh giggle chuckle snicker cackle sigh gasp cough sniff sniffle groan moan yawn sneeze "
    "snort snore wheeze gulp swallow sob cry scream shriek whimper grunt hum whistle burp "
    "hiccup inhale exhale breathe sing clap gag pant growl hiss mumble squeal scoff tsk"
).split()
_SINGLE = (
    "laughter crying sobbing breath breaths breathing throat applause music beep gunshot explosion "
    "singing humming clapping groaning woo gasped cries sobs claps tuts lipsmack"
).split()
_STYLES = (
    "whisper whispers whispering whispered shout shouts shouting yell yells yelling sarcastic "
    "sarcastically excited excitedly curious curiously happy happily sad sadly angry angrily calm "
    "calmly nervous nervously mischievous mischievously surprised tired frustrated disgusted "
    "scared amazed thoughtful serious cheerful cheerfully playful playfully deadpan muttering "
    "mutters rushed slowly"
).split()
_MODIFIERS = frozenset(
    "a an the and with in of softly quietly loudly deeply heavily lightly gently nervous nervously "
    "happily sadly awkwardly hard harder big small little soft loud deep deeply long short sharp "
    "slight slightly starts starting clears clear clearing takes evil hysterically "
    "uncontrollably quiet warm warmly bitter bitterly dry dryly sarcastic sarcastically voice "
    "under mouth his her their breath to tone".split()
)


def _forms(stem: str) -> list[str]:
    base = stem[:-1] if stem.endswith("e") else stem
    third = stem + ("es" if stem.endswith(("ss", "sh", "ch")) else "s")
    return [stem, third, base + "ing", base + "ed"]


_SOUNDS = frozenset([*_SINGLE, *(form for stem in _STEMS for form in _forms(stem))])
_SPOKEN = frozenset(_STYLES)
# Between stars, other forms are words with emphasis: don't *cry*; so are verbs of a sentence.
_STARRED = frozenset([*(_forms(stem)[1] for stem in _STEMS), "throat", "breath", "laughter"])
# Words before a verb of a sentence that ends in it: she *laughs*; the crowd *gasps*.
_BEFORE_VERB = re.compile(
    r"\b(?:he|she|it|who|that|which|everyone|everybody|nobody|someone|somebody|never|always|often|"
    r"also|still|just|really|actually|even|(?:the|an?|his|her|my|your|our|their|this|every) \w+) $",
    re.I,
)
_LOOKBEHIND = 40
_WORDS = re.compile(r"[a-z]+")
_PAIRS = {"[": "]", "<": ">", "(": ")", "*": "*"}
_BEGINS = re.compile(r"[\[<(*]/?([A-Za-z]+(?:[ _-][A-Za-z]+)*[ _-]?|)\Z")
#: The longest tag.
MAX_CHARS = 48
MAX_WORDS = 5


def tag_end(
    raw: str, at: int, stop: int, tags: frozenset[str] = frozenset(), *, is_closed: bool = True
) -> int | None:
    """The end of the tag that begins at an index; -1 if there is none, None if later text decides.

    A word between stars is no tag within a sentence: Anna *laughs* a lot.

    Args:
        stop: the end of the visible text.
        tags: of a model, as written; they are tags whatever their words.
        is_closed: `stop` is the end of the paragraph.
    """
    for tag in tags:
        if raw.startswith(tag, at, stop):
            return at + len(tag)
    seen = raw[at : min(stop, at + MAX_CHARS)]
    opening = seen[0]
    end = seen.find(_PAIRS[opening], 1)
    if opening in "(*" and at and not raw[at - 1].isspace() and raw[at - 1] not in "\"'“‘([":
        return -1
    if opening == "*":
        before = raw[max(raw.rfind("\n", 0, at) + 1, at - _LOOKBEHIND) : at]
        if _BEFORE_VERB.search(before):
            return -1
    if end < 0:
        begins = len(seen) < MAX_CHARS and _may_go_on(seen)
        return None if not is_closed and (begins or _begins_one(seen, tags)) else -1
    inner = seen[1:end]
    if opening == "<":
        inner = inner.strip("/").strip()
    if not _is_tag(inner, opening):
        return -1
    if opening == "*" and before[-2:-1].isalnum():
        after = raw[at + end + 1 : min(stop, at + end + 4)].lstrip(" ")
        if not after and not is_closed:
            return None
        if after[:1].islower():
            return -1
    return at + end + 1


def _is_tag(inner: str, opening: str) -> bool:
    if not re.fullmatch(r"[A-Za-z]+(?:[ _-][A-Za-z]+)*[.!]?", inner):
        return False
    words = _WORDS.findall(inner.lower())
    known = _SOUNDS if opening in "(*" else _SOUNDS | _SPOKEN
    needed = _STARRED if opening == "*" else known
    if len(words) > MAX_WORDS or not needed.intersection(words):
        return False
    return all(word in known or word in _MODIFIERS for word in words)


def _may_go_on(seen: str) -> bool:
    """Whether more text may make a tag of this one."""
    match = _BEGINS.fullmatch(seen)
    if match is None:
        return False
    *whole, part = re.split("[ _-]", match[1].lower())
    everything = _SOUNDS | _SPOKEN | _MODIFIERS
    return (
        len(whole) < MAX_WORDS
        and all(word in everything for word in whole)
        and any(word.startswith(part) for word in everything)
    )


def _begins_one(seen: str, tags: frozenset[str]) -> bool:
    return any(len(seen) < len(tag) and tag.startswith(seen) for tag in tags)
