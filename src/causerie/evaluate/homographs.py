"""Does the model read a word by its context? Sesame's homograph test, rebuilt.

Fifteen words that are pronounced in two ways, each with a sentence that calls for the one and a
sentence that calls for the other. A model without an eye for context reads a word always alike:
that is right in half of the sentences, and for none of the words in both.
"""

from __future__ import annotations

from collections.abc import Sequence

from causerie.evaluate.clip import Clip, Measured, Row
from causerie.evaluate.reading import Reading, Word, judge, spelled_out
from causerie.evaluate.speaking import Speaking

#: The first sentence calls for the first reading, the second for the second.
HOMOGRAPHS = (
    Word(
        "lead", (Reading("leed", "lˈid"), Reading("led", "lˈɛd")),
        ("She took the lead early in the race.", "The old water pipes were made of lead."),
    ),
    Word(
        "bass", (Reading("base", "bˈAs"), Reading("bas", "bˈæs")),
        ("He plays the bass guitar in a band.", "We caught a large bass in the lake."),
    ),
    Word(
        "row", (Reading("roe", "ɹˈO"), Reading("rau", "ɹˈW")),
        ("We sat in the front row of the theater.", "The neighbors had a terrible row last night."),
    ),
    Word(
        "tear", (Reading("tier", "tˈɪɹ"), Reading("tare", "tˈɛɹ")),
        ("A tear rolled slowly down her cheek.", "Please do not tear the paper in half."),
    ),
    Word(
        "wind", (Reading("winned", "wˈɪnd"), Reading("wined", "wˈInd")),
        ("A cold wind blew from the north.", "Remember to wind the old clock every night."),
    ),
    Word(
        "wound", (Reading("woond", "wˈund"), Reading("wownd", "wˈWnd")),
        ("The nurse put a bandage on the wound.", "He wound the rope around the post."),
    ),
    Word(
        "dove", (Reading("duv", "dˈʌv"), Reading("dohv", "dˈOv")),
        ("A white dove sat on the roof.", "She dove into the cold water."),
    ),
    Word(
        "bow", (Reading("beau", "bˈO"), Reading("bough", "bˈW")),
        ("He shot an arrow with his bow.", "The actors took a bow after the show."),
    ),
    Word(
        "sow", (Reading("sew", "sˈO"), Reading("sau", "sˈW")),
        ("Farmers sow the seeds in spring.", "The sow lay in the mud with her piglets."),
    ),
    Word(
        "minute", (Reading("minnit", "mˈɪnət"), Reading("my newt", "mInˈut")),
        ("Wait a minute, I am almost ready.", "The crack was so minute that nobody saw it."),
    ),
    Word(
        "close", (Reading("cloze", "klˈOz"), Reading("clohss", "klˈOs")),
        ("Please close the door behind you.", "The shop is very close to my house."),
    ),
    Word(
        "desert", (Reading("dezzert", "dˈɛzəɹt"), Reading("dessert", "dəzˈɜɹt")),
        ("Camels walk slowly through the hot desert.", "A good friend would never desert you."),
    ),
    Word(
        "read", (Reading("reed", "ɹˈid"), Reading("red", "ɹˈɛd")),
        ("I like to read before I go to sleep.", "Yesterday she read the whole book."),
    ),
    Word(
        "live", (Reading("liv", "lˈɪv"), Reading("lyve", "lˈIv")),
        ("My parents live in a small town.", "We watched the live show on television."),
    ),
    Word(
        "use", (Reading("yooss", "jˈus"), Reading("yooz", "jˈuz")),
        ("What is the use of waiting any longer?", "May I use your phone for a moment?"),
    ),
)  # fmt: skip


def measure(speaking: Speaking, words: Sequence[Word] = HOMOGRAPHS) -> tuple[Measured, list[Clip]]:
    """Speak all sentences, and judge which reading each has.

    Numbers: homographs, the share of sentences read as their context calls for; homographs_both,
    the share of words read rightly in both sentences; homographs_judge, the share that the judge
    gets right where the truth is known: the same sentences, spelled out with the other reading.

    Returns:
        The figures, and what was spoken by the model's own choice.
    """
    rows: list[Row] = []
    clips = []
    for word in words:
        for meant, sentence in enumerate(word.sentences):
            voice = speaking.next_voice()
            clip = speaking.speak(sentence, voice)
            found = judge(speaking.tts, clip.audio, sentence, word, voice)
            other, text = spelled_out(speaking.tts, sentence, word, 1 - meant)
            known = speaking.speak(text, voice, tts=other)
            check = judge(speaking.tts, known.audio, sentence, word, voice)
            clips.append(clip)
            rows.append(
                {
                    "word": word.word,
                    "text": sentence,
                    "meant": word.readings[meant].letters,
                    "right": found.reading == meant,
                    "margin": found.margin,
                    "judge_right": check.reading == 1 - meant,
                }
            )
    right = [row["right"] for row in rows]
    both = [one and two for one, two in zip(right[::2], right[1::2], strict=True)]
    numbers = {
        "homographs": sum(right) / len(right),
        "homographs_both": sum(both) / len(both),
        "homographs_judge": sum(row["judge_right"] for row in rows) / len(rows),
    }
    return Measured(numbers=numbers, rows=rows), clips
