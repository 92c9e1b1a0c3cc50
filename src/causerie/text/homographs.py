"""Chooses between the pronunciations of a word by the words around it.

Two kinds of rules: most words have one pronunciation as a verb and one as a noun or adjective, and
a few words before and after show which it is. For the others, patterns of neighboring words decide.
Words without a rule, and words around which nothing decides, have their usual pronunciation. Does
not know a lexicon.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache

from causerie.text.homograph_patterns import PATTERNS
from causerie.text.inflections import ending
from causerie.text.numbers import NUMBER_WORDS

# word: (as a noun or adjective, as a verb); the first is usual.
_NOUN_OR_VERB = {
    "abuse": ("əbjˈus", "əbjˈuz"), "advocate": ("ˈædvəkət", "ˈædvəkˌAt"),
    "aggregate": ("ˈæɡɹəɡət", "ˈæɡɹəɡˌAt"), "alternate": ("ˈɔltəɹnət", "ˈɔltəɹnˌAt"),
    "appropriate": ("əpɹˈOpɹiət", "əpɹˈOpɹiˌAt"), "approximate": ("əpɹˈɑksəmət", "əpɹˈɑksəmˌAt"),
    "articulate": ("ɑɹtˈɪkjələt", "ɑɹtˈɪkjəlˌAt"), "associate": ("əsˈOsiət", "əsˈOsiˌAt"),
    "attribute": ("ˈætɹəbjˌut", "ətɹˈɪbjut"), "combat": ("kˈɑmbˌæt", "kəmbˈæt"),
    "compound": ("kˈɑmpˌWnd", "kəmpˈWnd"), "conduct": ("kˈɑndˌʌkt", "kəndˈʌkt"),
    "conflict": ("kˈɑnflˌɪkt", "kənflˈɪkt"), "console": ("kˈɑnsˌOl", "kənsˈOl"),
    "contest": ("kˈɑntˌɛst", "kəntˈɛst"), "contract": ("kˈɑntɹˌækt", "kəntɹˈækt"),
    "contrast": ("kˈɑntɹˌæst", "kəntɹˈæst"), "convict": ("kˈɑnvˌɪkt", "kənvˈɪkt"),
    "coordinate": ("kOˈɔɹdənət", "kOˈɔɹdənˌAt"), "decrease": ("dˈikɹˌis", "dəkɹˈis"),
    "defect": ("dˈifɛkt", "dəfˈɛkt"), "delegate": ("dˈɛləɡət", "dˈɛləɡˌAt"),
    "deliberate": ("dəlˈɪbəɹət", "dəlˈɪbəɹˌAt"), "desert": ("dˈɛzəɹt", "dəzˈɜɹt"),
    "digest": ("dˈIʤˌɛst", "dIʤˈɛst"), "discount": ("dˈɪskˌWnt", "dɪskˈWnt"),
    "duplicate": ("dˈupləkət", "dˈupləkˌAt"), "elaborate": ("əlˈæbəɹət", "əlˈæbəɹˌAt"),
    "escort": ("ˈɛskˌɔɹt", "əskˈɔɹt"), "estimate": ("ˈɛstəmət", "ˈɛstəmˌAt"),
    "excuse": ("ɪkskjˈus", "ɪkskjˈuz"), "export": ("ˈɛkspˌɔɹt", "ɪkspˈɔɹt"),
    "extract": ("ˈɛkstɹˌækt", "ɪkstɹˈækt"), "frequent": ("fɹˈikwənt", "fɹikwˈɛnt"),
    "graduate": ("ɡɹˈæʤəwət", "ɡɹˈæʤəwˌAt"),
    "house": ("hˈWs", "hˈWz"), "import": ("ˈɪmpˌɔɹt", "ɪmpˈɔɹt"),
    "increase": ("ˈɪnkɹˌis", "ɪnkɹˈis"),
    "insult": ("ˈɪnsˌʌlt", "ɪnsˈʌlt"), "intimate": ("ˈɪntəmət", "ˈɪntəmˌAt"),
    "moderate": ("mˈɑdəɹət", "mˈɑdəɹˌAt"), "object": ("ˈɑbʤəkt", "əbʤˈɛkt"),
    "perfect": ("pˈɜɹfəkt", "pəɹfˈɛkt"), "permit": ("pˈɜɹmɪt", "pəɹmˈɪt"),
    "present": ("pɹˈɛzᵊnt", "pɹizˈɛnt"), "progress": ("pɹˈɑɡɹəs", "pɹəɡɹˈɛs"),
    "project": ("pɹˈɑʤˌɛkt", "pɹəʤˈɛkt"), "protest": ("pɹˈOtˌɛst", "pɹətˈɛst"),
    "rebel": ("ɹˈɛbᵊl", "ɹəbˈɛl"), "record": ("ɹˈɛkəɹd", "ɹəkˈɔɹd"),
    "separate": ("sˈɛpəɹət", "sˈɛpəɹˌAt"), "pervert": ("pˈɜɹvˌɜɹt", "pəɹvˈɜɹt"),
    "syndicate": ("sˈɪndəkət", "sˈɪndəkˌAt"), "affiliate": ("əfˈɪliət", "əfˈɪliˌAt"),
    "laminate": ("lˈæmənət", "lˈæmənˌAt"), "misuse": ("mˌɪsjˈus", "mˌɪsjˈuz"),
    "ally": ("ˈælˌI", "əlˈI"), "perfume": ("pˈɜɹfjˌum", "pəɹfjˈum"),
    "imprint": ("ˈɪmpɹˌɪnt", "ɪmpɹˈɪnt"), "annex": ("ˈænˌɛks", "ənˈɛks"),
    "diffuse": ("dəfjˈus", "dəfjˈuz"),
    "addict": ("ˈædɪkt", "ədˈɪkt"),
    "compact": ("kˈɑmpˌækt", "kəmpˈækt"), "entrance": ("ˈɛntɹəns", "ɪntɹˈæns"),
    "impact": ("ˈɪmpˌækt", "ɪmpˈækt"), "implant": ("ˈɪmplˌænt", "ɪmplˈænt"),
    "incense": ("ˈɪnsˌɛns", "ɪnsˈɛns"), "overlap": ("ˈOvəɹlˌæp", "ˌOvəɹlˈæp"),
    "segment": ("sˈɛɡmᵊnt", "sˈɛɡmˌɛnt"), "upgrade": ("ˈʌpɡɹˌAd", "ˌʌpɡɹˈAd"),
    "subject": ("sˈʌbʤɛkt", "səbʤˈɛkt"), "subordinate": ("səbˈɔɹdənət", "səbˈɔɹdənˌAt"),
    "survey": ("sˈɜɹvˌA", "səɹvˈA"), "suspect": ("sˈʌspˌɛkt", "səspˈɛkt"),
    "torment": ("tˈɔɹmˌɛnt", "tɔɹmˈɛnt"), "transfer": ("tɹˈænsfəɹ", "tɹænsfˈɜɹ"),
    "transport": ("tɹˈænspˌɔɹt", "tɹænspˈɔɹt"),
    "use": ("jˈus", "jˈuz"),
}  # fmt: skip
# Of these, the verb is usual.
_VERB_OR_NOUN = {
    "combine": ("kˈɑmbˌIn", "kəmbˈIn"), "compress": ("kˈɑmpɹˌɛs", "kəmpɹˈɛs"),
    "converse": ("kˈɑnvˌɜɹs", "kənvˈɜɹs"),
    "discharge": ("dˈɪsʧˌɑɹʤ", "dɪsʧˈɑɹʤ"), "incline": ("ˈɪnklˌIn", "ɪnklˈIn"),
    "invite": ("ˈɪnvˌIt", "ɪnvˈIt"), "recall": ("ɹˈikˌɔl", "ɹəkˈɔl"),
    "insert": ("ˈɪnsˌɜɹt", "ɪnsˈɜɹt"),
    "refund": ("ɹˈifˌʌnd", "ɹəfˈʌnd"), "rewrite": ("ɹˈiɹˌIt", "ˌɹiɹˈIt"), "sow": ("sˈW", "sˈO"),
    "remake": ("ɹˈimˌAk", "ɹimˈAk"), "rerun": ("ɹˈiɹˌʌn", "ɹiɹˈʌn"),
    "replay": ("ɹˈiplˌA", "ɹiplˈA"), "animate": ("ˈænəmət", "ˈænəmˌAt"),
    "replicate": ("ɹˈɛpləkət", "ɹˈɛpləkˌAt"),
    "precipitate": ("pɹəsˈɪpətət", "pɹəsˈɪpətˌAt"), "exploit": ("ˈɛksplˌYt", "ɪksplˈYt"),
    "construct": ("kˈɑnstɹˌʌkt", "kənstɹˈʌkt"), "reuse": ("ɹˌijˈus", "ɹˌijˈuz"),
    "refill": ("ɹˈifˌɪl", "ɹifˈɪl"), "reprint": ("ɹˈipɹˌɪnt", "ɹipɹˈɪnt"),
    "confine": ("kˈɑnfˌIn", "kənfˈIn"), "retake": ("ɹˈitˌAk", "ɹitˈAk"),
    "convert": ("kˈɑnvˌɜɹt", "kənvˈɜɹt"), "initiate": ("ɪnˈɪʃiət", "ɪnˈɪʃiˌAt"),
    "produce": ("pɹˈOdˌus", "pɹədˈus"), "refuse": ("ɹˈɛfjˌus", "ɹəfjˈuz"),
    "reject": ("ɹˈiʤˌɛkt", "ɹəʤˈɛkt"), "resume": ("ɹˈɛzəmˌA", "ɹəzˈum"),
}  # fmt: skip

_SUBJECTS = frozenset("i you we they he she it who".split())
_BEFORE_VERBS = frozenset(
    "to will would can could may might must shall should do does did don't doesn't didn't can't "
    "cannot couldn't won't wouldn't shouldn't mustn't please let's i'll you'll we'll they'll he'll "
    "she'll it'll i'd you'd we'd they'd he'd she'd".split()
)
_BEFORE_NOUNS = frozenset(
    "a an the this these those my your his her its our their some any no every each another such "
    "of in on at by for with from into about under without within during after before between "
    "through over one two three four five six seven eight nine ten many several few more most "
    "first second third last next new old good great big small own same other whose what which "
    "full partial enough much less organic raw frozen canned "
    "sells sell sold buys buy bought eats eat ate grows grow grew offers includes contains "
    "requires delivers provides wants likes loves carry collect haul hauls dump burn remove "
    "household "
    "garbage fresh local criminal prime main daily flat world "
    "makes gives takes needs has had have got gets finds found becomes remains feels sounds keeps "
    "is are was were be been being am isn't aren't wasn't weren't seem seems seemed looks looked "
    "very so too quite as rather than per i'm you're we're they're he's she's it's that's".split()
)
_ARTICLES = frozenset(
    "a an the this that these those my your his her its our their some any all every each both "
    "me him them us it myself yourself himself herself itself ourselves yourselves "
    "themselves".split()
)
_ADVERBS = frozenset(
    "always never often also still just even really already only ever then now not usually "
    "sometimes soon".split()
)
_NOT_ADVERBS = frozenset(
    "family only early daily friendly lovely ugly likely weekly monthly".split()
)
_LETTING = frozenset(
    "let make help watch see have hear made saw heard helped lets makes helps".split()
)
_BEFORE_SINGULARS = frozenset("this that each every a an another".split())
_NUMBERS = frozenset("few lot".split())
_LEAST = frozenset("light mild low slight little small".split())
# After a verb at the start of a sentence, and after one in the third person.
_OF_VERB = {
    "alternate": "between", "graduate": "from", "elaborate": "on", "object": "to",
    "export": "to as", "import": "from", "transfer": "to from", "upgrade": "to from",
    "decrease": "by", "increase": "by", "separate": "into",
}  # fmt: skip
_INDEFINITE = frozenset(
    "nobody everybody anybody somebody everyone anyone someone one nothing everything something "
    "anything".split()
)
_UNDER = frozenset("if when as because while until unless once whenever where since".split())
_KEEPING = frozenset(
    "keep keeps kept keeping stay stays stayed remain remains remained hold "
    "holds held leave".split()
)
# Adjectives after an object.
_COMPLEMENTS = frozenset(["separate", "intimate"])
_AT_ONCE = frozenset("now today again here".split())  # Upgrade now.
_DEGREES = frozenset("too up almost nearly about".split())
_AUXILIARIES = frozenset("do does did will would can could should must may might shall".split())
_QUESTIONS = frozenset("what when where why how which who and or but then so much many".split())
_PLURALS = frozenset("people children men women police both and or but who that which".split())
_DETERMINERS = _ARTICLES - frozenset(
    "me him them us it all any both myself yourself himself herself itself ourselves yourselves "
    "themselves".split()
)
_CONJUNCTIONS = frozenset("and or but that because when whenever if while as although so".split())
# No object and no verb.
_FUNCTION_WORDS = _CONJUNCTIONS | frozenset(
    "in of on at by for with from into about under without within during after before between "
    "through over to than until since per against like near across around up down out off "
    "which who where not now again here today twice often together".split()
)
# The verb of a sentence, after its subject in the plural: police records show that.
_FINITE = _AUXILIARIES | frozenset(
    "is are was were has have had show say said need look seem mean include began begin start end "
    "fell fall rose rise grew grow came come went go took take made make gave give got get ran run "
    "cost help want remain became become stay suggest continue contain differ expire matter vary "
    "work tell told hit set prove hurt pay keep kept turn put lead led leave lose lost win won "
    "hold held bring see know find found use feel felt move stop meet met reveal reflect exist "
    "broke sold sent stood lay spread don't doesn't didn't won't can't isn't aren't wasn't "
    "weren't".split()
)
_AFTER_ADJECTIVES = frozenset("school schools student students studies program degree".split())
# Another verb follows: the sales record is old.
_OTHER_VERBS = frozenset("is was are were has have had will would can could of".split())
# After a noun: refuse collection, the produce aisle.
_COMPOUNDED = frozenset(
    "collection collectors disposal bin bins truck trucks aisle section stand".split()
)
_ENDS = frozenset(".!?…")
_PAUSES = frozenset(",.!?;:—…")
_PLACES = {"mobile": "mObˈil", "nice": "nˈis", "reading": "ɹˈɛdɪŋ"}
_BEFORE_PLACES = frozenset(
    "in to from near of via around outside through visit visiting visited left leave leaving reach "
    "reached".split()
)
_BEFORE_MONTHS = frozenset(
    "in last next this early late mid since until by of every from to through and or "
    "july september".split()
)


def choose(words: Sequence[str], at: int) -> str | None:
    """The phonemes of a word that has two pronunciations; None for any other word.

    Args:
        words: words and punctuation marks of a text in order.
        at: the position of the word.
    """
    word = words[at]
    lower = word.lower()
    if lower in PATTERNS:
        if lower in _PLACES and _is_place(words, at):
            return _PLACES[lower]
        return "ʤˈOb" if _is_book(words, at) else _by_pattern(words, at)
    if lower in ("august", "polish"):
        return _by_capital(words, at)
    stem = lower[:-1] if lower.endswith("s") and lower[:-1] in _ALL_PARTS else lower
    if stem not in _ALL_PARTS:
        return None
    usual_noun, (noun, verb) = stem in _NOUN_OR_VERB, _ALL_PARTS[stem]
    is_verb = _is_verb(words, at, singular=stem != lower)
    phonemes = verb if (not usual_noun if is_verb is None else is_verb) else noun
    return phonemes + ending(phonemes, "s") if stem != lower else phonemes


_ALL_PARTS = _NOUN_OR_VERB | _VERB_OR_NOUN


def as_verb(word: str) -> str | None:
    """The phonemes of a word as a verb; None if they do not depend on that."""
    return _ALL_PARTS[word][1] if word in _ALL_PARTS else None


def _by_pattern(words: Sequence[str], at: int) -> str:
    start, end = at, at + 1
    while start > 0 and at - start < 12 and words[start - 1][0] not in _ENDS:
        start -= 1
    while end < len(words) and end - at < 12 and words[end][0] not in _ENDS:
        end += 1
    sentence = " ".join(
        "_" if position == at else words[position].lower() for position in range(start, end)
    )
    return next(
        phonemes
        for phonemes, pattern in PATTERNS[words[at].lower()]
        if not pattern or _compiled(pattern).search(sentence)
    )


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)


def _by_capital(words: Sequence[str], at: int) -> str:
    """The month and the nation have capitals; at the start of a sentence the next word decides."""
    word, before, after = words[at], _before(words, at), _after(words, at)
    first = not before or before[0] in _PAUSES
    if word.lower() == "august":
        month = not word.islower() or before in _BEFORE_MONTHS
        return "ˈɔɡəst" if month else "ɔɡˈʌst"
    nation = word[0].isupper() and not (first and after in _ARTICLES | {"up", "off", "until"})
    return "pˈOlɪʃ" if nation else "pˈɑlɪʃ"


def _is_place(words: Sequence[str], at: int) -> bool:
    """Whether a word with a capital is a place: in Reading; but in Reading Comprehension."""
    is_title = at + 1 < len(words) and words[at + 1].istitle()
    return words[at].istitle() and not is_title and _before(words, at) in _BEFORE_PLACES


def _is_book(words: Sequence[str], at: int) -> bool:
    """Whether a word is Job before a chapter and a verse: Job three sixteen."""
    return words[at] == "Job" and {_after(words, at), _after(words, at + 1)} <= NUMBER_WORDS


def _before(words: Sequence[str], at: int) -> str:
    return words[at - 1].lower() if at > 0 else ""


def _after(words: Sequence[str], at: int) -> str:
    return words[at + 1].lower() if at + 1 < len(words) else ""


def _is_verb(words: Sequence[str], at: int, *, singular: bool) -> bool | None:
    """Whether a word is a verb; None if the words around do not show it.

    Args:
        singular: the word ends in -s: a verb of the third person, or a noun in the plural.
    """
    after, start = _after(words, at), at
    while at > 0 and _is_adverb(words[at - 1].lower()):
        at -= 1
    if _before(words, at) == "longer" and _before(words, at - 1) == "no":  # they no longer use it
        at -= 2
    before, earlier = _before(words, at), _before(words, at - 1) if at > 0 else ""
    if before in ("me", "him", "them", "us", "her", "you", "it") and earlier in _LETTING:
        return not singular and before != "it"
    if at > 2 and words[at - 3].lower() in ("let", "lets") and earlier in _DETERMINERS:
        return not singular  # let the jury deliberate
    if before == words[at].lower():  # farms produce produce
        return not _is_verb(words, at - 1, singular=singular)
    if before in _BEFORE_VERBS:
        is_adjective = after in _AFTER_ADJECTIVES or earlier in _LEAST  # light to moderate rain
        return not (singular or (before == "to" and is_adjective))
    if before in _SUBJECTS or (singular and before in _INDEFINITE and earlier != "every"):
        return True
    if before == "that":  # a determiner, or the start of a clause: plants that produce
        is_plural = earlier.endswith("s") and earlier not in _OTHER_VERBS | _AUXILIARIES
        return (is_plural and not singular) or (after in _ARTICLES and singular)
    if singular and before in ("this", "that", "which", "what") and after in _ARTICLES:
        return True
    if before in ("this", "that") and earlier in _AUXILIARIES and after in _ARTICLES:
        return not singular  # how will this impact us?
    if before == "all":  # wash all produce; but we all produce
        return earlier in _SUBJECTS or earlier in ("us", "people")
    if before == "rather" and earlier in _BEFORE_VERBS:  # I'd rather not elaborate
        return not singular
    if before in _BEFORE_NOUNS or before.endswith("'s"):
        return False
    if earlier in ("he", "she", "it") and before.endswith("s"):  # he holds moderate views
        return False
    if not singular and before.isalpha() and _in_question(words, at - 1):
        return True
    if after == "of" or after in _COMPOUNDED:
        return False
    if not before and not singular and after in ("is", "was", "has"):  # refuse is burned
        return False
    if not before and at < start and words[at].lower() in ("never", "always", "just", "only"):
        return not singular  # never use bleach
    if not before or before[0] in _PAUSES or before in ("and", "or", "but", "then"):
        is_object = after in _ARTICLES or (_takes(words, at) and not _has_verb(words, at))
        is_object = is_object or (
            after in _AT_ONCE and not before and _after(words, at + 1) in ("", *_PAUSES, "and")
        )
        return (is_object and not singular) or None
    if singular and earlier in _BEFORE_SINGULARS and before not in _NUMBERS:
        return True  # this device records sound
    if singular:
        is_object = not before.endswith("s") and after in _ARTICLES | _DEGREES
        return is_object or _has_subject(words, at)
    if _starts_clause(words, at - 1) and after in _ARTICLES and words[at - 1].istitle():
        return True  # Alexa record a memo
    if earlier == "and" and _starts_clause(words, at - 3) and not _has_verb(words, at):
        # Oil and water separate quickly.
        is_end = after.endswith("ly") or after in _ARTICLES | _FUNCTION_WORDS
        return (is_end and not _ENDS.isdisjoint(words[at : at + 12])) or None
    if earlier in ("a", "an"):  # a police escort
        return False
    if _is_kept(words, at):
        return False
    if before == "thanks":  # thanks, ally
        return False
    if before in _PLURALS or (before.endswith("s") and not before.endswith(("ss", "us", "is"))):
        return after not in _OTHER_VERBS or None
    # A base form does not follow a noun in the singular.
    return False if earlier in _ARTICLES else None


def _is_kept(words: Sequence[str], at: int) -> bool:
    """Whether a word is an adjective after its object: keep the two files separate."""
    if words[at].lower() not in _COMPLEMENTS or _after(words, at)[:1] not in ("", *_PAUSES):
        return False
    return not _KEEPING.isdisjoint(word.lower() for word in words[max(0, at - 6) : at])


def _takes(words: Sequence[str], at: int) -> bool:
    """Whether the preposition of a verb follows: object to, upgrade to."""
    return _after(words, at) in _OF_VERB.get(words[at].lower(), "").split()


def _starts_clause(words: Sequence[str], at: int) -> bool:
    before = _before(words, at)
    return at == 0 or (at > 0 and (before[0] in _PAUSES or before in _CONJUNCTIONS))


def _has_verb(words: Sequence[str], at: int) -> bool:
    """Whether one of the four next words is a verb, within the clause."""
    for word in words[at + 1 : at + 5]:
        if word[0] in _PAUSES or word in _CONJUNCTIONS | _SUBJECTS | _ARTICLES | {"I"}:
            return False
        if word in _FINITE or (word.endswith("ed") and len(word) > 4):
            return True
    return False


def _has_subject(words: Sequence[str], at: int) -> bool | None:
    """Whether a clause has a subject in the singular before a word, and no verb after it.

    The heart contracts; Germany exports cars; but oil exports fell. None if nothing shows it.
    """
    before, after = _before(words, at), _after(words, at)
    if after in _FINITE:
        return False
    if after and after[0] in _PAUSES - _ENDS:
        return _before(words, at - 1) in _UNDER or None  # if time permits,
    is_plural = before.endswith("s") and not before.endswith("ss")
    if is_plural or before.endswith("ed") or not before.isalpha() or _has_verb(words, at):
        return None
    if _starts_clause(words, at - 2) and words[at - 2].lower() in _DETERMINERS:
        return True
    if not after.isalpha() or after in _FUNCTION_WORDS or _is_adverb(after):
        return None
    has_adjective = _starts_clause(words, at - 3) and words[at - 3].lower() in _DETERMINERS
    return has_adjective or _starts_clause(words, at - 1) or None


def _in_question(words: Sequence[str], at: int) -> bool:
    """Whether the words up to a noun are the subject of a question: what does the farm produce?"""
    for back in range(at - 1, max(-1, at - 5), -1):
        word = words[back].lower()
        if word in _SUBJECTS:  # do I need a work permit?
            return False
        if word in _AUXILIARIES:
            earlier = _before(words, back)
            return not earlier or earlier[0] in _PAUSES or earlier in _QUESTIONS
        if word[0] in _PAUSES:
            return False
    return False


def _is_adverb(word: str) -> bool:
    return word in _ADVERBS or (word.endswith("ly") and word not in _NOT_ADVERBS)
