"""Converts a pronunciation as people write it to the phoneme symbols of `causerie.text.pronounce`.

IPA is accepted as dictionaries, espeak-ng and piper write it, and in the symbols of misaki. Also
ARPABET (CMU's dictionary) and X-SAMPA. Does not know words.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping

from causerie.errors import TextError
from causerie.text.pronounce import CONSONANTS, STRESSES, VOWELS

_IPA: dict[str, str] = {
    **{symbol: symbol for symbol in [*VOWELS, *CONSONANTS, *STRESSES, " "]},
    # Diphthongs and affricates, which are one symbol each.
    "eɪ": "A", "ei": "A", "ej": "A", "e": "A", "aɪ": "I", "ai": "I", "aj": "I", "ɑɪ": "I",
    "aʊ": "W", "au": "W", "aw": "W", "ɑʊ": "W", "ɔɪ": "Y", "ɔi": "Y", "oɪ": "Y", "oi": "Y",
    "ɔj": "Y", "oʊ": "O", "əʊ": "O", "ou": "O", "ow": "O", "o": "O", "Q": "O",
    "tʃ": "ʧ", "dʒ": "ʤ",
    # Vowels before r, of both sides of the Atlantic.
    "ɜːɹ": "ɜɹ", "ɜːr": "ɜɹ", "ɜːʴ": "ɜɹ", "ɜɹ": "ɜɹ", "ɜr": "ɜɹ", "ɜ": "ɜɹ",
    "ɝɹ": "ɜɹ", "ɝ": "ɜɹ", "ɚɹ": "əɹ", "ɚ": "əɹ",
    "eə": "ɛə", "ɒ": "ɑ", "a": "æ", "aː": "ɑ", "ɨ": "ᵻ", "ʉ": "u", "ɘ": "ə", "ɵ": "ə",
    # Syllabic consonants.
    "l̩": "ᵊl", "n̩": "ᵊn", "m̩": "ᵊm", "ɹ̩": "əɹ", "r̩": "əɹ",
    # Consonants.
    "g": "ɡ", "r": "ɹ", "ɻ": "ɹ", "ɾ": "T", "ʔ": "t", "ɫ": "l", "ɬ": "l", "ʍ": "w",
    "x": "k", "ç": "k",
    # Length, syllables and details that English does not distinguish.
    "'": "ˈ", "ʼ": "ˈ", "ː": "", "ˑ": "", ":": "", ".": "", "‿": "", "-": "", "ʰ": "", "ʲ": "",
    "\u200d": "", "˞": "ɹ",
}  # fmt: skip
_IPA_KEY = re.compile("|".join(map(re.escape, sorted(_IPA, key=len, reverse=True))))
_TIES = ("\u0361", "\u035c", "^")

_ARPABET = dict(
    pair.split("=")
    for pair in (
        "AA=ɑ AE=æ AH=ʌ AO=ɔ AW=W AX=ə AXR=əɹ AY=I EH=ɛ ER=ɜɹ EY=A IH=ɪ IX=ᵻ IY=i OW=O OY=Y UH=ʊ "
        "UW=u UX=u B=b CH=ʧ D=d DH=ð DX=T EL=ᵊl EM=ᵊm EN=ᵊn F=f G=ɡ HH=h H=h JH=ʤ K=k L=l M=m N=n "
        "NG=ŋ NX=n P=p Q=t R=ɹ S=s SH=ʃ T=t TH=θ V=v W=w WH=w Y=j Z=z ZH=ʒ"
    ).split()
)
_XSAMPA = {
    '"': "ˈ", "%": "ˌ", ":": "ː", "A": "ɑ", "{": "æ", "@": "ə", "@`": "ɚ", "E": "ɛ", "I": "ɪ",
    "O": "ɔ", "U": "ʊ", "V": "ʌ", "Q": "ɒ", "3": "ɜ", "3`": "ɝ", "6": "ɐ", "1": "ɨ", "}": "ʉ",
    "T": "θ", "D": "ð", "S": "ʃ", "Z": "ʒ", "N": "ŋ", "r\\": "ɹ", "r\\`": "ɻ", "4": "ɾ", "?": "ʔ",
    "5": "ɫ", "W": "ʍ", "C": "ç", "=": "\u0329", "_=": "\u0329", "_h": "ʰ", "_^": "", ".": ".",
    **{letter: letter for letter in "abdefghijklmnoprstuvwxz"}, " ": " ", "-": "", "|": "",
}  # fmt: skip
_XSAMPA_KEY = re.compile("|".join(map(re.escape, sorted(_XSAMPA, key=len, reverse=True))))
#: Alphabets by the names that SSML and ElevenLabs give them.
ALPHABETS: Mapping[str, str] = {
    "ipa": "ipa", "": "ipa", "cmu-arpabet": "arpabet", "arpabet": "arpabet", "cmu": "arpabet",
    "x-sampa": "x-sampa", "xsampa": "x-sampa",
}  # fmt: skip
# Characters that occur in IPA only.
_IPA_ONLY = re.compile("[\u0250-\u02ff\u1d00-\u1dbfæðŋθ]")
_EASY = re.compile(r"[AIOWYiubdfhjklmnpstvwzTgr']+")


def is_ipa(text: str) -> bool:
    """Whether a text that may be something else, such as an address, is IPA.

    Without special characters it is IPA only if all of its vowels are symbols of misaki.
    """
    return _IPA_ONLY.search(text) is not None or _EASY.fullmatch(text) is not None


def to_phonemes(written: str, word: str, *, alphabet: str = "ipa") -> str:
    """The phonemes of a pronunciation.

    Args:
        written: the pronunciation, perhaps between slashes.
        word: for errors.
        alphabet: a key of `ALPHABETS`.

    Raises:
        TextError: it has a symbol that is no phoneme; says where.
    """
    kind = ALPHABETS[alphabet.lower()]
    plain = written.strip()
    if len(plain) > 1 and plain[0] + plain[-1] in ("//", "[]"):
        plain = plain[1:-1].strip()
    if kind == "arpabet":
        phonemes = _from_arpabet(plain, word)
    elif kind == "x-sampa":
        phonemes = _from_ipa(_from_xsampa(plain, word), word)
    else:
        phonemes = _from_ipa(plain, word)
    phonemes = " ".join(_stressed(part) for part in phonemes.split())
    if not any(char in VOWELS or char in CONSONANTS for char in phonemes):
        raise TextError(
            f"the pronunciation {written!r} of {word!r} has no phonemes: write IPA such as /kˈæt/"
        )
    return phonemes


def _from_ipa(text: str, word: str) -> str:
    found: list[str] = []
    at = 0
    while at < len(text):
        # A tie joins two letters to one sound.
        tied = text[at : at + 1] + text[at + 2 : at + 3] if text[at + 1 : at + 2] in _TIES else ""
        match = _IPA_KEY.match(text, at)
        if tied in _IPA and len(tied) == 2:
            found.append(_IPA[tied])
            at += 3
        elif match:
            found.append(_IPA[match[0]])
            at = match.end()
        elif unicodedata.combining(text[at]) and at:
            at += 1
        elif (base := unicodedata.normalize("NFD", text[at])[0]) != text[at] and base in _IPA:
            found.append(_IPA[base])
            at += 1
        else:
            raise _unknown(text, at, word, "write IPA such as /kˈæt/")
    return "".join(found)


def _from_arpabet(text: str, word: str) -> str:
    found: list[str] = []
    for match in re.finditer(r"\S+", text):
        symbol = match[0].rstrip("012")
        phonemes = _ARPABET.get(symbol.upper())
        digit = match[0][len(symbol) :]
        if phonemes is None or len(digit) > 1:
            raise _unknown(text, match.start(), word, "write ARPABET such as K AE1 T", match[0])
        if symbol.upper() == "AH" and digit == "0":
            phonemes = "ə"
        elif symbol.upper() == "ER" and digit == "0":
            phonemes = "əɹ"
        found.append({"1": "ˈ", "2": "ˌ"}.get(digit, "") + phonemes)
    return "".join(found)


def _from_xsampa(text: str, word: str) -> str:
    found: list[str] = []
    at = 0
    while at < len(text):
        match = _XSAMPA_KEY.match(text, at)
        if match is None:
            raise _unknown(text, at, word, 'write X-SAMPA such as k"{t')
        found.append(_XSAMPA[match[0]])
        at = match.end()
    return "".join(found)


def _stressed(phonemes: str) -> str:
    """The phonemes of a word with each stress mark before its vowel."""
    out, stress = "", ""
    for char in phonemes:
        if char in STRESSES:
            stress = char
            continue
        if char in VOWELS:
            out, stress = out + stress, ""
        out += char
    return out


def _unknown(text: str, at: int, word: str, advice: str, symbol: str = "") -> TextError:
    symbol = symbol or text[at]
    return TextError(
        f"the pronunciation {text!r} of {word!r} has {symbol!r} at {at + 1}, which is no English "
        f"phoneme: {advice}"
    )
