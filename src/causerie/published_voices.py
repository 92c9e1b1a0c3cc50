"""What is known of published voices: descriptions, and the words of csm-1b's prompts.

Voice files and recordings do not hold these facts. Knows no files.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

#: The words of prompts/NAME.wav in sesame/csm-1b, which has no transcripts beside them. The first
#: two are those of run_csm.py in SesameAILabs/csm, the others of Sesame's demonstration on the hub.
PROMPT_TEXTS: Mapping[str, str] = MappingProxyType(
    {
        "conversational_a": "like revising for an exam I'd have to try and like keep up the "
        "momentum because I'd start really early I'd be like okay I'm gonna start revising now and "
        "then like you're revising for ages and then I just like start losing steam I didn't do "
        "that for the exam we had recently to be fair that was a more of a last minute scenario "
        "but like yeah I'm trying to like yeah I noticed this yesterday that like Mondays I sort "
        "of start the day with this not like a panic but like a",
        "conversational_b": "like a super Mario level. Like it's very like high detail. And like, "
        "once you get into the park, it just like, everything looks like a computer game and they "
        "have all these, like, you know, if, if there's like a, you know, like in a Mario game, "
        "they will have like a question block. And if you like, you know, punch it, a coin will "
        "come out. So like everyone, when they come into the park, they get like this little "
        "bracelet and then you can go punching question blocks around.",
        "read_speech_a": "And Lake turned round upon me, a little abruptly, his odd yellowish "
        "eyes, a little like those of the sea eagle, and the ghost of his smile that flickered on "
        "his singularly pale face, with a stern and insidious look, confronted me.",
        "read_speech_b": "He was such a big boy that he wore high boots and carried a jack knife. "
        "He gazed and gazed at the cap, and could not keep from fingering the blue tassel.",
        "read_speech_c": "All passed so quickly, there was so much going on around him, the Tree "
        "quite forgot to look to himself.",
        "read_speech_d": "Suddenly I was back in the old days Before you felt we ought to drift "
        "apart. It was some trick-the way your eyebrows raise.",
    }
)

#: petit's voices, and csm-1b's as their users describe them.
DESCRIPTIONS: Mapping[str, str] = MappingProxyType(
    {
        "heart": "Woman, clear; the default",
        "clara": "Woman, lower pitch",
        "mia": "Woman, higher pitch",
        "theo": "Man, lively",
        "bruno": "Man, deep",
        "oscar": "Man, calm",
        "nadia": "Woman, brisk",
        "ruth": "Woman, low and calm",
        "conversational_a": "Woman, conversation; the default",
        "conversational_b": "Man, conversation",
        "read_speech_a": "Woman, reading",
        "read_speech_b": "Man, reading",
        "read_speech_c": "Reading",
        "read_speech_d": "Reading",
    }
)
