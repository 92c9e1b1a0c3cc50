"""Writes web and e-mail addresses, file names and paths, hashtags and handles as words."""

from __future__ import annotations

import re

from causerie.text.numbers import label

_SYMBOLS = {
    ".": "dot", "/": "slash", "-": "dash", "_": "underscore", "@": "at", ":": "colon", "+": "plus",
    "~": "tilde", "=": "equals", "&": "and", "#": "hash", "%": "percent", "\\": "backslash",
}  # fmt: skip
# Besides words without vowels.
_LETTERED = frozenset("io uk us de eu ai ca au ly html pdf py exe api yml faq url".split())
_TOP_LEVEL = (
    "com|org|net|edu|gov|mil|io|ai|app|dev|co|ly|gg|uk|de|fr|eu|tv|fm|info|xyz|news|blog|tech|cloud"
)
_FILE_TYPES = (
    r"pdf|txt|docx?|xlsx?|pptx?|csv|jpe?g|png|gif|svg|mp[34]|wav|flac|zip|gz|tar|exe|html?|css|"
    r"json|"
    r"out|lock|env|cfg|conf|bak|ipynb|jsx|tsx|xml|tsv|sqlite|bat|heic|webp|tiff?|mov|avi|mkv|ogg|"
    r"m4a|epub|rtf|dmg|apk|rar|psd|"
    r"ya?ml|toml|ini|py|js|ts|cpp|sh|md|sql|log|(?<=[a-z]{3}\.)[ch]"
)

_EMAIL = re.compile(
    r"(?:mailto:)?(?<![\w.+-])([\w.+-]{1,64}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){1,4})"
    r"(?P<path>:(?=[\w/]))?"  # git@github.com:user
)
_URL = re.compile(
    r"(?<![\w@.])(?:(?:https?|ftp)://(?:www\.)?|www\.)(?P<full>[^\s<>\"]{1,2000})"
    r"|(?<![\w@./-])(?P<bare>(?:[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){0,3}\."
    rf"(?:{_TOP_LEVEL})\b|localhost(?=[:/]))(?::[0-9]{{1,5}})?(?:/[^\s<>\"]{{0,2000}})?)"
)
_SCHEME = re.compile(r"(?<=[a-z0-9])://(?=[\w/])")  # s3://bucket
_VOWELLESS = re.compile("[b-df-hj-np-tv-xz]{2,4}", re.I)
_PIECE = re.compile(r"[A-Za-z]+|[0-9]+|[^\w\s]|_")
_UNREAD = re.compile("[?#]")  # the start of a query or fragment
_US = re.compile(r"(?<=[a-z]{3}-)us\b")  # about-us; but en-us
_ESCAPED = re.compile(r"%[0-9A-Fa-f]{2}")
_FILE_TYPE = re.compile(
    rf"(?:(?<=[\w)])|(?<![^\s(\"'/]))\.(?P<type>{_FILE_TYPES})\b(?!(?<!\.tar)\.\w)", re.I
)
# A sentence does not begin with a small letter: os.path; Math.max(a, b).
_MEMBER = re.compile(
    r"(?:(?<=[a-z_]{2})(?<!\betc)|(?<=\b[a-z])(?=\.[a-z]\w{1,30}\())\.(?P<part>(?=[a-z_]{2}|"
    r"[A-Za-z_]\w{0,30}\("
    r"|[A-Z][A-Za-z]{0,20}[a-z][A-Z]|[A-Z]{2,20}[a-z])[A-Za-z]*)"
)
_DOT_NET = re.compile(r"(?<=[A-Z])\.NET\b")
_HIDDEN_FILE = re.compile(r"(?<![^\s/])\.(?=[A-Za-z]{2})")
_HERE = re.compile(r"(?<![^\s/])(?P<dots>\.\.?)/(?=[\w.])")
_ANY_FILE = re.compile(r"(?<!\S)\*\.(?=[a-z])")
_DRIVE = re.compile(r"\b([A-Z]):\\")
_BACKSLASH = re.compile(r"(?<=\w)\\(?=\w)")
_HOME = re.compile(r"(?<!\S)~/(?=[\w.])")
_HASHTAG = re.compile(
    r"(?<![\w&#])#(?=[A-Za-z]\w|[0-9]{1,4}(?!st|nd|rd|th)[A-Za-z]{3})(?P<tag>\w{2,100})"
)
_NUMBER_SIGN = re.compile(r"(?<=[A-Za-z]) ?#(?=:)|(?<=[a-z] )#(?= of\b)")
_ORDERED = re.compile(
    r"\b(?P<what>(?:[Oo]rder|[Tt]icket|[Cc]ase|[Ii]nvoice|[Tt]racking|[Ii]tem|[Pp]art|[Mm]odel) )#"
    r"(?=[A-Z]*[0-9])"
)
_HANDLE = re.compile(r"(?<!\S)@(?=[A-Za-z])\w{2,40}")
_COMMUNITY = re.compile(r"(?<![\w/])[ru]/\w{2,40}")
_HUMP = re.compile(r"(?<=[a-z])(?=[A-Z])")
_POUND = re.compile(
    r"(?:(?<=[Pp]ress )|(?<=[Dd]ial )|(?<=[Hh]it ))#(?!\w)|(?<=[a-z] )#(?= (?:key|button)\b)"
)
_HASH = re.compile(
    r"(?<=[a-z] )#(?= (?:sign|symbol|character|mark|to|for|or|and)\b(?!:)|[.,;!?)]|$)"
)
_SHARP = re.compile(r"\b([A-G])#(?!\w)")
_MARKS = re.compile(r"[.@:/#\\*]")


def read_addresses(text: str) -> str:
    """The text with its addresses, file names and tags in words.

    Web addresses lose their scheme, query and fragment.
    """
    if not _MARKS.search(text):
        return text
    text = _EMAIL.sub(lambda m: _address(m[1]) + " colon " * bool(m["path"]), text)
    text = _URL.sub(_url, text)
    text = _SCHEME.sub(" colon slash slash ", text)
    text = _HOME.sub("tilde/", text)
    text = _FILE_TYPE.sub(lambda match: f" dot {_piece(match['type'])}", text)
    text = _DOT_NET.sub(" dot NET", text)
    text = _ANY_FILE.sub("star dot ", _HIDDEN_FILE.sub("dot ", text))
    text = _MEMBER.sub(lambda match: f" dot {_piece(match['part'])}", text)
    text = _BACKSLASH.sub(" backslash ", _DRIVE.sub(r"\1 colon backslash ", text))
    text = _HERE.sub(lambda match: "dot " * len(match["dots"]) + "slash ", text)
    text = _COMMUNITY.sub(lambda match: _HUMP.sub(" ", match[0]), text)
    text = _HANDLE.sub(lambda match: match[0].replace("_", " underscore "), text)
    text = _HASH.sub("hash", _POUND.sub("pound", _NUMBER_SIGN.sub(" number", text)))
    text = _ORDERED.sub(r"\g<what>number ", text)
    text = _HASHTAG.sub(lambda match: f"hashtag {_HUMP.sub(' ', match['tag'])}", text)
    return _SHARP.sub(r"\1 sharp", text)


def option(match: re.Match[str]) -> str:
    """An option of a command in words: --dry-run → dash dash dry run."""
    name = match[0].lstrip("-")
    return " dash " * (len(match[0]) - len(name)) + name.replace("-", " ")


def unread_parts(text: str) -> list[str]:
    """The queries and fragments of its web addresses, which are not read."""
    if not _UNREAD.search(text):
        return []
    return [part for match in _URL.finditer(text) if (part := _parts(match)[1])]


def _url(match: re.Match[str]) -> str:
    address, _, rest = _parts(match)
    return _address(_ESCAPED.sub(" ", address.rstrip("/"))) + rest


def _parts(match: re.Match[str]) -> tuple[str, str, str]:
    """An address, its query and fragment, and the punctuation after it."""
    found = match["full"] or match["bare"]
    kept = found.rstrip(".,;:!?)'\"")
    address = _UNREAD.split(kept, maxsplit=1)[0]
    return address, kept[len(address) :], found[len(kept) :]


def _address(address: str) -> str:
    """An address in words: a.b@c.uk → a dot b at c dot U K."""
    return " ".join(
        _SYMBOLS.get(piece[0]) or (_US.match(address, piece.start()) and "us") or _piece(piece[0])
        for piece in _PIECE.finditer(address)
    )


def _piece(piece: str) -> str:
    if piece.lower() in _LETTERED or _VOWELLESS.fullmatch(piece):
        return " ".join(piece.upper())
    return label(piece) if piece.isdigit() else piece
