"""Writes initialisms and names with capitals inside as they are read.

An initialism becomes its letters, in capitals with spaces between: GPUs → G P U's. Acronyms that
are said as words, and words in capitals for emphasis, do not change. Does not know a lexicon:
short words are listed here, longer ones differ from initialisms by their syllables.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from causerie.text.money import CODES
from causerie.text.units import UNITS

# Words of two and three letters that people write in capitals for emphasis.
_SHORT_WORDS = frozenset(
    "act add max pro age ago air all am an and any are arm art as ask at ate bad bag bar bat "
    "bed bee beg bet big bit box boy bug bus "
    "but buy by bye can cap car cat cow cry cup cut dad day did "
    "die dig do dog dry due ear eat egg end eye fan far fat few fit fix fly for fox fun gas get "
    "go god got gun guy had ham has hat he hen her hey hi him his hit hot how hug ice if ill in "
    "ink inn is its jam jar job joy key kid law lay leg let lie lip lot low mad man map may me "
    "men mix mom mud my net new nice no nod nor not now nut odd of off oh oil ok old on one or "
    "our out own pay pen pet pie pig pop pot put ran rat raw red rid row run sad saw say sea "
    "see set sex she shy sir sit six ski sky so son sun tax tea ten the tie tip to toe too top "
    "toy try two up use van war was way we wet why win won yes yet you zip zoo bow cab den dim "
    "dip dot elf elm era eve fig flu fog fur gap gel gum gym hay hip hop hut jaw jet jug kit "
    "lab lap lid lit log mat mob mug nap nun oak owe owl pad pal pan pea pit pub ray rib rob "
    "rot rub rug rum sap sew sip sob soy spa spy sub sue tab tag tan tap tar tow tub tug vet "
    "vow wax web wed wig wit".split()
) - {"am", "act", "sit", "arm"}
# More of them, which are words among other words in capitals only.
_SHOUTED_WORDS = _SHORT_WORDS | frozenset(
    "ace act ad aid aim ale am ant ape apt arc ark arm ash ave awe ax axe aye ban bay bib bid bin "
    "bio bot bra bro bud bum bun cam chi cob cod cog con cop cot cub cue dab dam deb dew din doe "
    "don dub dud duo dye ebb eco ego eh eke elk emu eon ewe ex fab fad fax fed fee fen fib fin "
    "fir foe fry gag gal gig gin gob goo gut ha hag hem hex hid hog hub hue hum imp it ivy jab "
    "jag jot keg ken kin lad lag lob lop lug lye ma mac mar meh met mid mod mop mow nab nag nay "
    "nib nil nix nub oar oat orb ore pa pap par pat paw pee peg pep per pi ply pod pox pry pug "
    "pus rag ram rap re rec ref rep rev rig rim rip roe rut rye sac sag sam sis sit sod sty sum "
    "sup tad tat tee thy tic tin ton uh um urn us vac vat vex via vie vim vis wad wag wan who woe "
    "abe amy ann ben bob dan eva gus hal ian ida jay jim joe jon kay ken kim kit lee leo liz lou "
    "mae meg mel mia moe nan ned pam pat rex rob ron roy sam sue ted tim tom vic zoe "
    "wok woo yak yam yap yaw yea yep yew yo zap zen".split()
)
# Initialisms that are also words: words only among other words in capitals.
_WORDS_TOO = frozenset("am it us who act aid ids pet sat".split())
_ACRONYMS = frozenset(
    "pin ram rom sim gif lan wan vin ted dos cad mac bic json yaml nvidia hipaa ascii xbox captcha "
    "crispr uefa sars jpeg jpegs nasa nato bios moma xerox isis ikea yahoo rag gan foss nas pac "
    "rem hud rav risc dom".split()
)
# Initialisms that could be words by their syllables.
_INITIALISMS = frozenset(
    "ceo cfo cto cio cia usa ufo epa api ui ux ip id ai eu uk un uae ira ev iq diy oem eta icu suv "
    "mit led hiv gop lol iso aka ucla aclu ymca ywca usda usaf usga edta adac "
    "nyu ny la imho icao afaik ianal uscis usaid acpi aicpa aspca nyse phev byob naacp hvac "
    "ngos".split()
)
# Initialisms that people also write in small letters.
_SMALL = (
    "tv cd dvd pdf html https http css xml url usb gpu cpu api sms vpn gpt llm php sql ssh ftp faq "
    "jpg png svg csv txt ceo diy npm cli sdk dns tcp udp ssl tls jwt dll xhr ssd hdd omg btw idk "
    "fyi tbh brb ttyl rsvp imo imho irl idc eod afaik ikr ngl fwiw ymmv iirc lmk hmu smh "
    "ianal omw doi tfw nvm"
).split()

_CURRENCIES = frozenset(CODES.split("|"))
_AMOUNT_ENDS = re.compile(r"[0-9] ?(?:[kKMB]|[mbt]n|thousand|[mbtr]{1,2}illion|lakh|crore)?$")
_SHOUTED_UNITS = frozenset(
    "MPH MPG KPH KM CM KG LB LBS OZ FT YDS ML HRS MIN MINS SECS TBSP TSP MG".split()
)
_AFTER_NUMBER = ("MM", "AM", "PM", "ST", "ND", "RD", "TH")

_CONSONANTS = "[BCDFGHJKLMNPQRSTVWXYZ]"
_ONSET = (
    "(?:[BCDFGHJKLMNPRSTVWXYZ]|QU|B[LR]|C[HLR]|D[RW]|F[LR]|G[HLNR]|K[LNR]|P[HLR]|RH|S[CHKLMNPTW]|"
    "SCR|SHR|SPL|SPR|SQU|STR|T[HRW]|THR|W[HR])"
)
_VOWEL = "(?:A[IUY]?|E[AEIUWY]?|I[AEO]?|O[AEIOUWY]?|U[AEIY]?|Y)"
_CODA = (
    "(?:[BCDFGHKLMNPRSTVWXZ]|BS|C[KST]|CKS|D[DGS]|F[FT]|G[GHS]|GHT|GHTS|KS|L[BDFKLMPST]|LTH|LVE|"
    "M[BMPS]|MPS|N[CDGKNST]|NCH|ND[SY]|NGS|NKS|NTH|NTS|P[HPST]|PTH|PTS|R[BCDFGKLMNPRST]|RCH|RDS|"
    "RKS|RLD|RLS|RMS|RNS|RPS|RST|RTH|RTS|S[HKMPST]|SKS|STS|T[HTS]|TCH|THS|W[KLNS]|XT|ZZ|CH)"
)
_SYLLABLES = f"{_ONSET}?{_VOWEL}(?:{_CODA}?{_ONSET}?{_VOWEL})*{_CODA}?"
# No acronym begins with these vowels (IEEE, AARP, UUID), and few have three such consonants.
_NO_WORD = re.compile(
    rf"AA|I[AEIU]|U[AEIOU]|EE[AEIOU]|.*[AEIOUY]{_CONSONANTS}{{2}}[BCDFGKMNPSTVXZ][AEIOU]"
)
_LONG_WORD = re.compile(rf"(?=.*[AEIOUY])(?!.*{_CONSONANTS}{{5}}).{{6,}}")

_CAPITALS = re.compile(r"[A-Z][A-Z&/][A-Z]?")
_CAPITAL_TOKEN = re.compile(
    r"(?<![A-Za-z'])(?P<article>A )?(?P<caps>[A-Z]{2,30})"
    r"(?P<plural>'?s(?![A-Za-z]))?(?![A-Za-z]|'[A-Z]|\$)"
)
_SEGMENT = re.compile(r"[^.!?:;\n]*[.!?:;\n]*")
_WORD = re.compile(r"[A-Za-z']+")
_JOINED = re.compile(r"(?<![A-Za-z])([A-Z]{1,3})&([A-Z]{1,3})(?P<plural>'?s)?(?![A-Za-z])")
_SLASHED = re.compile(r"(?<![\w/])[A-Z]{1,4}(?:/[A-Z]{1,4}){1,3}\b(?!/)")  # TCP/IP
_TWO_FOR_TO = re.compile(r"\b([BCDGP])2([BCGP])\b")
# Names whose capitals say nothing about their sound.
_SPECIAL = {
    "K8s": "Kubernetes", "LoRA": "Lora", "QLoRA": "Q Lora", "ReLU": "Relu", "DDoS": "D Doss",
    "DeFi": "De Fi", "pKa": "P K A", "tvOS": "T V O S", "PharmD": "Pharm D", "EdD": "E D D",
    "MLOps": "M L Ops", "MoMA": "Moma", "ARM64": "Arm 64",
    "HbA1c": "H B A 1 C", "SpO2": "S P O 2", "CoQ10": "Co Q 10",
    "PaLM": "Palm",
}  # fmt: skip
_SPECIAL_NAME = re.compile(rf"\b(?:{'|'.join(_SPECIAL)})\b")
_DEGREE = re.compile(
    r"\b(MSc|BSc|LLB|LLM|BEng|MEng|pH|PCIe|NVMe|GmbH|eGFR|"
    r"(?!NaN|CoV|MiG|[GM]eV|[KMGT]iB)[A-Z][a-z][A-Z])(s?)\b(?! ?=)"
)
_DOCTORATE = re.compile(r"\bPhD('?s)?\b|\bPh\.D\.('?s)?(?= [a-z]|,|;)")
_MIXED = re.compile(
    r"(?:(?<=[a-z]{2})|(?<=\b[a-z])|(?<=\b[A-Z][a-z])(?<!\bVo))(?=[A-Z]{2,6}(?:s\b|\b|[^A-Za-z]))|"
    r"(?:(?<=[A-Z]{2})|(?<=\b[A-Z]))(?=[A-Z][a-z]{2})|(?<=[A-Z]{2})(?=v[0-9])"
)
_IDENTIFIER = re.compile(
    r"(?<![\w'])(?:[a-z][a-z0-9]{1,30}(?:[A-Z][a-z0-9]{0,30}){1,8}|(?!Mac|"
    r"Mc)(?:[A-Z][a-z0-9]{1,30}){2,8})\b"
)
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_SHORT_HUMPS = frozenset(
    "By To Id Ok Ip Db Ui Io Of In On Is As At No Or If Do Up My is to on in as my do".split()
)
_PROGRAMMING = frozenset(
    "Error Exception Request Response Handler List Map Set Array Type Class Object Model View "
    "Controller Manager Service Factory Builder Name Id Data Frame Stack Queue Tree Node Loader "
    "Reader Writer Parser Client Server Config Context State Event Listener Component Table "
    "Warning Iterator Interface Adapter Provider Module String Buffer Stream".split()
)
_SMALL_TOKEN = re.compile(rf"\b({'|'.join(_SMALL)})('?s)?\b(?![.'@])")
# A small word without a vowel, such as a command: rm, cp.
_VOWELLESS = re.compile(
    r"(?<![^\W_])(?<!['.&@:-])(?<![0-9] )(?P<dash>-)?"
    r"(?P<word>[b-df-hj-np-tv-xz]{2,4}|(?<=-)(?<![a-z]-)(?:l?[aeiou][a-z]|[a-z][aeiou]))"
    r"(?=[0-9]{2}|(?![^\W_]|[@&/]|-\w|['’.]\w|::))"
)
_NOT_SPELLED = frozenset(
    "hm hmm hmmm mm mmm mmmm mhm sh shh shhh psst pst pfft brr brrr grr grrr tsk zzz "
    "nth pwn mr mrs ms dr st mt ft vs pls thx msg cwm jr sr rd th nd pt pts fl sq cu "
    "kr tmp src std np".split()
) | (frozenset(UNITS) - frozenset("cc rpm bpm fps wpm ppm bps gpm gsm".split()))
# The five Ws, straight As; but Ms. Poe, Rs 500.
_LETTERS_MANY = re.compile(
    r"(?<![A-Za-z'.])(?P<letter>[BCDEFGHJKLNPQRTWXYZ]|(?<=straight )A|A(?=s,? (?:and |or )?Bs\b))s"
    r"\b(?!'|\.? ?[0-9])"
)
# Those that are so only before a digit, and others before it: mp3, html5; E = mc².
_SMALL_NUMBERED = re.compile(
    rf"(?<![A-Za-z0-9])(?:{'|'.join(_SMALL)}|mp|ps|ipv|utf|sha|md|php|es|rtx|gtx|mc(?=²|\^2)|"
    rf"h(?=26)|rc)"
    r"(?=-?[0-9²^]|(?<=rc)\.[0-9])"
)


def read_capitals(text: str, knows: Callable[[str], bool] | None = None) -> str:
    """The text with the letters of initialisms apart.

    Args:
        knows: whether a word in small letters has a pronunciation. An acronym or a word in capitals
            that has none gets small letters, as a lexicon takes short capitals for letters.
    """
    text = _SMALL_NUMBERED.sub(lambda match: _letters(match[0].upper(), None), text)
    text = _LETTERS_MANY.sub(r"\g<letter>'s", text)
    text = _VOWELLESS.sub(_vowelless, _SPECIAL_NAME.sub(lambda match: _SPECIAL[match[0]], text))
    text = _SMALL_TOKEN.sub(lambda match: _letters(match[1].upper(), match[2]), text)
    text = _DEGREE.sub(lambda match: _degree(match[1], match[2]), text)
    text = _IDENTIFIER.sub(_identifier, _MIXED.sub(" ", text))
    if not _CAPITALS.search(text) and "PhD" not in text and "2" not in text:
        return text
    text = _JOINED.sub(lambda m: f"{' '.join(m[1])} and {_letters(m[2], m['plural'])}", text)
    text = _DOCTORATE.sub(lambda match: _letters("PHD", match[1] or match[2]), text)
    text = _TWO_FOR_TO.sub(r"\1 to \2", text)
    text = _SLASHED.sub(lambda match: match[0].replace("/", " "), text)
    return _SEGMENT.sub(lambda match: _segment(match, knows), text)


def _vowelless(match: re.Match[str]) -> str:
    """Rm → R M; -rf → dash R F."""
    if match["word"] in _NOT_SPELLED:
        return match[0]
    return ("dash " if match["dash"] else "") + _letters(match["word"].upper(), None)


def _degree(name: str, plural: str) -> str:
    """MSc → M S C; MEng → M Eng; PwC → P W C."""
    if name.endswith("Eng"):
        return " ".join((name[0], name[1:])) + plural
    return _letters(name.upper(), plural)


def _identifier(match: re.Match[str]) -> str:
    """The words of a name in a program: getUserName → get User Name; names of brands stay."""
    name = match[0]
    if name in UNITS:
        return name
    humps = _HUMP.split(name)
    if any(len(hump) == 2 and hump not in _SHORT_HUMPS for hump in humps) or name == "arXiv":
        return name  # ConvNeXt
    is_call = match.string[match.end() : match.end() + 1] == "("
    if name[0].isupper() and len(humps) == 2 and not is_call and humps[1] not in _PROGRAMMING:
        return name
    return " ".join(humps)


def _segment(match: re.Match[str], knows: Callable[[str], bool] | None) -> str:
    segment = match[0]
    if not _CAPITALS.search(segment):
        return segment
    words = _WORD.findall(segment)
    all_capitals = len(words) > 1 and segment.upper() == segment
    shouted = all_capitals and any(_is_word(word.replace("'", "")) for word in words)

    def read(token: re.Match[str]) -> str:
        caps, plural = token["caps"], token["plural"]
        is_constant = "_" in segment[max(0, token.start() - 1) : token.end() + 1]
        if _is_unit(token):
            return token[0].lower() if caps in _SHOUTED_UNITS else token[0]
        is_word = not plural and _means_word(token, shouted=shouted or is_constant)
        is_known = knows is None or knows(caps.lower())
        if is_word or _is_acronym(caps) or (knows and is_known and _may_be_name(caps)):
            return token[0] if is_known else token[0].replace(caps, caps.capitalize())
        # A small article, as A C E O would be one initialism.
        return ("a " if token["article"] else "") + _letters(caps, plural)

    return _CAPITAL_TOKEN.sub(read, segment)


def _letters(caps: str, plural: str | None) -> str:
    return " ".join(caps) + ("'s" if plural else "")


def _is_unit(token: re.Match[str]) -> bool:
    """Whether a number before or after makes it a unit, a currency or half of a day."""
    if token["plural"] and token["caps"] not in _SHOUTED_UNITS:
        return False  # 3 MPs; but 5 KGs
    before = token.string[max(0, token.start() - 12) : token.start()].rstrip(" -")
    after = token.string[token.end() : token.end() + 2].lstrip()
    if token["caps"] in _CURRENCIES:
        return bool(_AMOUNT_ENDS.search(before)) or after[:1].isdigit()
    if token["caps"] in UNITS and re.search("[0-9]/$", before):  # $10/GB
        return True
    return before[-1:].isdigit() and (
        token["caps"] in UNITS or token["caps"] in _AFTER_NUMBER or token["caps"] in _SHOUTED_UNITS
    )


def _is_acronym(caps: str) -> bool:
    lower = caps.lower()
    if lower in _INITIALISMS:
        return False
    if lower in _ACRONYMS:
        return True
    if len(caps) < 4:
        return False
    if len(caps) > 5:
        return _LONG_WORD.fullmatch(caps) is not None
    return _has_syllables(caps)


def _may_be_name(caps: str) -> bool:
    """Whether capitals that a lexicon knows are its word: by JOHN SMITH."""
    return len(caps) > 3 and caps.lower() not in _INITIALISMS


def _has_syllables(caps: str) -> bool:
    """Whether capitals are made of syllables, and of those that words have if they are short."""
    if len(caps) < 6 and _NO_WORD.match(caps):
        return False
    return re.fullmatch(_SYLLABLES, caps) is not None


def _is_word(caps: str) -> bool:
    return caps.lower() in _SHORT_WORDS or _is_acronym(caps)


def _means_word(token: re.Match[str], *, shouted: bool) -> bool:
    lower = token["caps"].lower()
    if lower in _SHORT_WORDS:
        return True
    if shouted:
        if len(lower) < 4:
            return lower in _SHOUTED_WORDS
        return lower not in _INITIALISMS and _has_syllables(token["caps"])
    if lower not in _WORDS_TOO:
        return False
    before = _WORD.findall(token.string[max(0, token.start() - 12) : token.start()])
    after = _WORD.findall(token.string[token.end() : token.end() + 12])
    around = before[-1:] + after[:1]
    return any(word.isupper() and word.lower() in _SHORT_WORDS for word in around) or (
        lower == "am" and before[-1:] == ["I"]
    )
