"""Writes abbreviations as the words they stand for: titles, streets, states, days, months."""

from __future__ import annotations

import re

from causerie.text.calendar import (
    DAY_LETTERS,
    DAYS,
    MONTHS,
    SHORT_DAYS,
    SHORT_MONTHS,
    days_of_letters,
)
from causerie.text.chat import read_chat
from causerie.text.numbers import digits
from causerie.text.rules import Rules, alternatives
from causerie.text.units import UNITS, many

_BEFORE_NAME = {
    "Dr": "Doctor", "Drs": "Doctors", "Mr": "Mister", "Mrs": "Missus", "Ms": "Miz",
    "Mme": "Madame", "Mlle": "Mademoiselle",
    "Prof": "Professor",
    "St": "Saint", "Gen": "General", "Sen": "Senator", "Rep": "Representative", "Gov": "Governor",
    "Pres": "President", "Capt": "Captain", "Lt": "Lieutenant", "Sgt": "Sergeant",
    "Col": "Colonel", "Cpl": "Corporal", "Messrs": "Messieurs",
    "Rt": "Right", "Rev": "Reverend", "Hon": "Honorable", "Fr": "Father", "Mt": "Mount",
    "Wm": "William", "Chas": "Charles", "Geo": "George", "Thos": "Thomas", "Robt": "Robert",
    "ft": "featuring", "Ft": "Fort", "Maj": "Major", "Adm": "Admiral", "Brig": "Brigadier",
    "Cmdr": "Commander",
    "Cdr": "Commander", "Pvt": "Private", "Supt": "Superintendent", "Insp": "Inspector",
    "Amb": "Ambassador", "Atty": "Attorney", "Det": "Detective",
    "Attn": "Attention", "Sec": "Secretary",
}  # fmt: skip
_AFTER_NAME = {
    "Dr": "Drive", "St": "Street", "Ave": "Avenue", "Blvd": "Boulevard", "Rd": "Road", "Ln": "Lane",
    "Hwy": "Highway", "Sq": "Square", "Pkwy": "Parkway", "Ct": "Court", "Pl": "Place",
    "Inc": "Incorporated",
    "Corp": "Corporation", "Ltd": "Limited", "Co": "Company", "Bros": "Brothers",
}  # fmt: skip
# Matched with their dot, in any context; the dot of those in _MAY_END may also end a sentence.
_ABBREVIATIONS = {
    "e.g.": "for example", "eg.": "for example", "i.e.": "that is", "etc.": "etcetera",
    "vs.": "versus", "vs": "versus", "approx.": "approximately", "dept.": "department",
    "est.": "established", "min.": "minimum", "max.": "maximum", "misc.": "miscellaneous",
    "incl.": "including", "not incl.": "not included", "excl.": "excluding",
    "no. of": "number of", "No. of": "Number of", "no. is": "number is",
    "attn.": "attention", "nos. are": "numbers are",
    "resp.": "respectively", "mgr.": "manager", "asst.": "assistant", "govt.": "government",
    "intl.": "international", "natl.": "national", "univ.": "university", "assoc.": "associate",
    "mgmt.": "management", "qty.": "quantity", "pkg.": "package", "temp.": "temperature",
    "wt.": "weight", "ht.": "height", "mfg.": "manufacturing", "bldg.": "building",
    "Esq.": "Esquire", "Jr.": "Junior", "Sr.": "Senior", "gov't": "government",
    "int'l": "international", "nat'l": "national", "dep't": "department",
    "acct.": "account", "ea.": "each", "ea. mo.": "each month", "doz.": "dozen", "dz.": "dozen",
    "dz": "dozen",
    "Utd": "United", "pcs.": "pieces",
    "mtg.": "meeting", "mktg.": "marketing", "pls.": "please", "pls": "please",
    "y/y": "year over year",
    "&c.": "etcetera", "Ph:": "phone:",
    "q/q": "quarter over quarter", "m/m": "month over month", "YoY": "year over year",
    "Y/Y": "year over year", "Q/Q": "quarter over quarter",
    "mkt cap": "market cap", "Mkt cap": "Market cap",
    "mktg": "marketing", "btwn": "between", "cont'd": "continued", "feat.": "featuring",
    "mgmt": "management", "govt": "government", "intl": "international", "dept": "department",
    "asst": "assistant", "bldg": "building", "natl": "national", "misc": "miscellaneous",
    "appt": "appointment", "acct": "account", "pkg": "package", "mgr": "manager", "mtg": "meeting",
    "avg": "average", "blvd": "boulevard", "thx": "thanks", "fwd:": "forward:",
    "esp.": "especially",
    "equiv.": "equivalent", "orig.": "original", "prob.": "probably", "prev.": "previous",
    "std.": "standard", "req.": "required", "recd.": "received", "mkt.": "market",
    "hosp.": "hospital", "inst.": "institute", "exec.": "executive", "cert.": "certificate",
    "addl.": "additional", "dist.": "district", "illus.": "illustrated", "wkly.": "weekly",
    "dbl.": "double", "lg.": "large", "sm.": "small", "med.": "medical", "Qty": "quantity",
    "qty": "quantity", "hrs:": "hours:", "attn:": "attention:",
    "ed. by": "edited by", "w/in": "within", "b/w": "between",
    "Assoc.": "Association", "avg.": "average", "tel.": "telephone", "n.b.": "note well",
    "N.B.": "note well", "msg": "message",
    "encl.": "enclosed", "appt.": "appointment", "cont.": "continued", "hwy": "highway",
    "(est.)": "(estimated)", "Ret.": "retired", "Ctrl": "control", "ctrl": "control",
    "Cmd": "command", "twice/day": "twice a day", "once/day": "once a day",
    "twice/week": "twice a week", "once/week": "once a week",
    "Ave. of": "Avenue of", "m.p.h.": "mph",
    "m.p.g.": "mpg", "k.p.h.": "kph", "r.p.m.": "rpm", "per mo.": "per month",
    "each mo.": "each month", "wkdays": "weekdays", "wknds": "weekends", "wkends": "weekends",
    "& Co.": "and Company", "Bros.": "Brothers", "jr.": "junior", "sr.": "senior",
    "jr": "junior", "sr": "senior", "pk.": "pack",
    "& co.": "and company", "mfg. co.": "manufacturing company",
    "cf.": "compare", "viz.": "namely", "ca.": "about", "et al.": "and others",
    "a.k.a.": "also known as", "apt.": "apartment", "Ste.": "Suite",
    "aka": "also known as", "w/o": "without", "w/": "with", "b/c": "because", "and/or": "and or",
    "he/she": "he or she", "He/she": "he or she", "His/her": "his or her",
    "She/he": "she or he", "his/her": "his or her", "s/he": "she or he", "P.S.": "P S",
    "him/her": "him or her", "he/him": "he him", "she/her": "she her", "they/them": "they them",
    "a/k/a": "also known as", "w/out": "without", "yes/no": "yes or no", "Yes/No": "yes or no",
    "on/off": "on off",
    "true/false": "true or false", "True/False": "true or false", "pass/fail": "pass fail",
    "km/h": "kilometers per hour", "m/s": "meters per second", "km/s": "kilometers per second",
    "c/o": "care of", "A/C": "A C", "Ph.D.s": "P H D's", "N/A": "N A", "n/a": "N A",
    "a.m.": "A M", "p.m.": "P M", "Ph.D.": "P H D", "M.D.": "M D",
    "B.Sc.": "B S C", "M.Sc.": "M S C", "LL.B.": "L L B", "LL.M.": "L L M", "Ed.D.": "E D D",
    "Assn.": "Association",
}  # fmt: skip


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]


# At the start of a sentence or of a name; Max and Min are names.
_ABBREVIATIONS = {
    _capital(short): _capital(words)
    for short, words in _ABBREVIATIONS.items()
    if (short.endswith(".") or "'" in short) and short not in ("max.", "min.")
} | _ABBREVIATIONS
_MAY_END = frozenset(
    form
    for short in (
        *"etc. &c. mgr. asst. govt. univ. bldg. Esq. Jr. Sr. a.m. p.m. Ph.D. M.D.".split(),
        "et al.",
    )
    for form in (short, _capital(short))
)
_BEFORE_NUMBER = {
    "No": "number", "Nos": "numbers", "Nr": "number", "pp": "pages", "p": "page",
    "Cols": "columns", "cols": "columns", "Fig": "figure", "fig": "figure", "Figs": "figures",
    "Vol": "volume", "vol": "volume",
    "Vols": "volumes", "vols": "volumes", "Ch": "chapter", "ch": "chapter", "chap": "chapter",
    "Chap": "chapter", "Art": "article", "para": "paragraph", "Para": "paragraph",
    "Sec": "section", "Eq": "equation", "eq": "equation", "Eqs": "equations", "eqs": "equations",
    "Ps": "Psalm", "Bk": "book", "Iss": "issue", "iss": "issue", "Sc": "scene",
    "sc": "scene", "pop": "population", "Pop": "population", "bk": "book",
    "Ver": "version", "ver": "version", "Rte": "Route",
    "Hwy": "Highway", "ext": "extension", "Ext": "extension",
    "c": "about", "ca": "about", "Bldg": "Building", "Apt": "Apartment", "Ste": "Suite",
    "Cat": "category", "chs": "chapters", "Chs": "chapters", "sec": "section", "Sect": "section",
    "paras": "paragraphs", "Lvl": "level", "lvl": "level", "Fl": "floor",
    "sect": "section", "secs": "sections",
    "lat": "latitude", "Lat": "latitude",
    "pt": "part", "Pt": "part", "Exod": "Exodus", "Deut": "Deuteronomy", "Isa": "Isaiah",
    "Blk": "Block", "Tbl": "Table", "vv": "verses",
    "nos": "numbers", "Rm": "Room", "Mk": "mark", "Op": "opus",
    "Pg": "page", "pg": "page", "pgs": "pages",
    "Conf": "confirmation", "conf": "confirmation", "Ref": "reference", "ref": "reference",
    "Inv": "invoice", "inv": "invoice", "Wk": "week", "wk": "week", "ln": "line",
    "lns": "lines", "ll": "lines",
}  # fmt: skip
_STATES = {
    "AL": "Alabama", "AK": "Alaska", "AZ": "Arizona", "AR": "Arkansas", "CA": "California",
    "CO": "Colorado", "CT": "Connecticut", "DE": "Delaware", "FL": "Florida", "GA": "Georgia",
    "HI": "Hawaii", "ID": "Idaho", "IL": "Illinois", "IN": "Indiana", "IA": "Iowa", "KS": "Kansas",
    "KY": "Kentucky", "LA": "Louisiana", "ME": "Maine", "MD": "Maryland", "MA": "Massachusetts",
    "MI": "Michigan", "MN": "Minnesota", "MS": "Mississippi", "MO": "Missouri", "MT": "Montana",
    "NE": "Nebraska", "NV": "Nevada", "NH": "New Hampshire", "NJ": "New Jersey",
    "NM": "New Mexico", "NY": "New York", "NC": "North Carolina", "ND": "North Dakota",
    "OH": "Ohio", "OK": "Oklahoma", "OR": "Oregon", "PA": "Pennsylvania", "RI": "Rhode Island",
    "SC": "South Carolina", "SD": "South Dakota", "TN": "Tennessee", "TX": "Texas", "UT": "Utah",
    "VT": "Vermont", "VA": "Virginia", "WA": "Washington", "WV": "West Virginia",
    "WI": "Wisconsin", "WY": "Wyoming", "DC": "D C",
    "AB": "Alberta", "BC": "British Columbia", "MB": "Manitoba", "NB": "New Brunswick",
    "NL": "Newfoundland", "NS": "Nova Scotia", "ON": "Ontario", "QC": "Quebec",
    "SK": "Saskatchewan",
}  # fmt: skip
_COMPASS = {
    "N": "North", "S": "South", "E": "East", "W": "West", "NW": "Northwest", "NE": "Northeast",
    "SW": "Southwest", "SE": "Southeast",
}  # fmt: skip

# Of a capital that is older than two letters.
_OLD_STATES = {
    "Ala": "Alabama", "Ariz": "Arizona", "Ark": "Arkansas", "Calif": "California",
    "Colo": "Colorado", "Conn": "Connecticut", "Del": "Delaware", "Fla": "Florida", "Ga": "Georgia",
    "Ill": "Illinois", "Ind": "Indiana", "Kan": "Kansas", "Ky": "Kentucky", "La": "Louisiana",
    "Md": "Maryland", "Mass": "Massachusetts", "Mich": "Michigan", "Minn": "Minnesota",
    "Miss": "Mississippi", "Mo": "Missouri", "Mont": "Montana", "Neb": "Nebraska", "Nev": "Nevada",
    "Okla": "Oklahoma", "Ore": "Oregon", "Pa": "Pennsylvania", "Penn": "Pennsylvania",
    "Tenn": "Tennessee", "Tex": "Texas", "Vt": "Vermont", "Va": "Virginia", "Wash": "Washington",
    "Wis": "Wisconsin", "Wyo": "Wyoming",
}  # fmt: skip
_END = r"(?= [A-Z]| ?$)"  # of a sentence, perhaps
_STREET = alternatives(
    "Street Avenue Drive Road Lane Boulevard Highway Square Court St Ave Dr Rd Ln Blvd".split()
)
_INITIALS = re.compile(r"(?<![\w.])(?P<letters>(?:[A-Z]\.){2,8})(?:'?(?P<s>s)\b|(?P<end> ?$))?")
_INITIAL = re.compile(r"(^|(?<=[.!?(] )|\b[A-Z][a-z]{1,20} )([A-HJ-Z])\. ?(?=[A-Z])")
_ABBREVIATION = re.compile(
    rf"(?<![\w./])(?P<number>(?<=[0-9][ -])|(?<=[0-9](?:st|nd|rd|th) ))?"
    rf"(?P<short>{alternatives(_ABBREVIATIONS)})(?![\w/])"
    rf"(?P<end>{_END})?"
)
_ESTIMATE = re.compile(r" (?:[$€£~]|(?!in\b|by\b|as\b|1[0-9]{3}\b|20[0-9]{2}\b)[a-z0-9])")
_TITLE = re.compile(
    rf"\b({alternatives(_BEFORE_NAME)})\.(?= ?(?!(?<=St\. )[NS][EW]\b|(?<=Sec\. )[A-Z]\b)[A-Z]|"
    rf"(?<!St\.)(?: &| 1st\b|"
    rf" and [MD]))"
    r"|\b(Dr|Mr|Mrs|Ms|Mme|Mlle|Prof)(?= [A-Z])"
    r"|(?:(?<=\b[Tt]he )|(?<=\b[12](?:st|nd) ))(Lt|Sgt|Capt|Col|Gen|Gov|Sen|Rep|Prof|Dr|Rev)\."
    r"(?= [a-z])"
)
# Names of streets, also before another name: the Main St. Bridge.
_STREET_NAME = re.compile(
    r"\b(?P<name>Main|Wall|High|Bond|Fleet|Market|State|Broad|Beale|Bourbon|Canal|Front|Water|Oak|"
    r"Elm"
    r"|[0-9]{1,3}(?:st|nd|rd|th)) St\.(?= (?!Louis|Paul|Patrick|John|Mary|Peter|Thomas|Jude"
    r"|Lucia|Lawrence|Helens)[A-Z])"
)
# Mich. St. beat Ohio St.; but a house on Ohio St.
_COLLEGES = alternatives([*_STATES.values(), "Penn", "Boise", "Fresno", "San Diego", "San Jose"])
_COLLEGE = (
    rf"\b(?P<state>{alternatives(_OLD_STATES)})\. St\."
    rf"|(?:(?<=\bbeat )|(?<=\bbeats )|(?<=\bvs )|(?<=\bversus )|(?<=\bover )|(?<=\bagainst ))"
    rf"(?P<rival>{_COLLEGES}) St\."
    rf"|\b(?P<team>{_COLLEGES}) St\.(?= (?:beats?|lost|loses|won|wins|versus|tops?|leads?|"
    r"defeat\w+|plays?|faces?|fans?|coach|players?|football|basketball|students?|[0-9]))"
)
_SUFFIX = re.compile(
    rf"(?<=[A-Za-z0-9,] )(?P<short>{alternatives(_AFTER_NAME)})\."
    rf"(?:(?= (?:{alternatives(_COMPASS)})(?:[.,;:)]| ?$))|(?P<end>{_END})?)"
    rf"|(?<=[a-z] )(?P<bare>St|Ave|Rd|Blvd|Hwy|Pkwy)(?= ?$|,| &|"
    rf" (?:{alternatives(_COMPASS)}|and|at|near|in)\b)"
    r"|\b(?P<clear>Rd|Blvd|Ln|Pkwy|Hwy)\.?(?![\w-])"
)
_NUMBERED = re.compile(
    rf"(?:\b(?!(?<=[0-9] )(?:pt|secs?)\.)({alternatives(_BEFORE_NUMBER)})|(?:(?<=[,(;] )|"
    rf"(?<=[a-z]{{3}} )(?<!said )|"
    rf"(?<=[A-Za-z]{{3}}\. )|(?<='s )(?=no\. [0-9]{{1,3}}(?: of| on| in|[.,]|$)))(no))"
    r"\.:? {0,2}(?=\(?[0-9]|(?:number|[Nn]o\.) {1,2}[A-Z0-9]|(?:~|about )[0-9]|[A-Z]{1,4}-?[0-9]|"
    r"(?:zero|one|two|three|four|five|six|seven|eight|nine) (?!of\b)"
    r"|I(?![ '][a-z])\b|(?!I\b)[IVXLivxl]{1,7}\b)"
    r"|\b(?P<bare>Apt|Ste|Blk|Bldg|Rm|Rte|Vol|Fig|[Pp]gs?|[Ww]k|Op|[Ee]xt|ca|"
    r"Ps|pp|"
    r"[Vv]ols|[Nn]os|Figs|[Cc]h|Mk)"
    r" (?=#?[0-9]|(?:[IVX]{2,5}|[VX])\b)"
)
# Units without a number: sold by the fl. oz.; weight in kg.
_ALONE = (
    "yr wk wks km cm mm kg mg mcg kWh kW mph kph mpg ml mL dL GHz MHz kHz Hz lb lbs oz tbsp "
    "Tbsp tsp Tsp "
    "yd yds "
    "hr hrs mins secs yrs kcal dB mmHg kbps Mbps Gbps"
).split()
_ALONE += ["km²", "cm²", "mm²", "ft²", "in²", "mi²", "yd²", "km³", "cm³", "ft³", "in³", "yd³"]
_ALONE += [name for name in UNITS if " " in name]  # fl oz, sq. ft
_UNIT_ALONE = re.compile(
    rf"(?<![\w.,/-])(?<![0-9⁰¹²³⁴-⁹]\s)(?<![0-9]\+\s)(?<!\b(?:fl|sq|cu) )(?<!\b(?:fl|sq|cu)\. "
    rf")(?P<unit>{alternatives(_ALONE)}|"
    r"(?:(?<=per )|(?<=in )|(?<=\()|(?<=\ba )|(?<=each )|(?<=and )|(?<=[²³], "
    r"))m[²³])(?![\w²³'/-])(?:\.(?P<end>{_END})?)?"
)
_SEVERAL = re.compile(
    r"(?:\b(?:in|of|many|few|several|more|extra|fewer|less|two|three|four|five|six|seven|eight|"
    r"nine|"
    r"ten|hundred|thousand|million) |\(|\b(?:pounds|lbs\.?|feet|hours|hrs\.?) (?:and|or) )$"
)
_KEYS = {
    "Del": "Delete", "Esc": "Escape", "Ins": "Insert", "PgUp": "Page Up", "PgDn": "Page Down",
    "Opt": "Option",
}  # fmt: skip
_KEY = re.compile(
    rf"(?:(?<=\+)|(?<=\b[Pp]ress )|(?<=\b[Hh]it ))(?:{alternatives(_KEYS)})\b"
    rf"|\b(?:{alternatives(_KEYS)})(?=\+| key\b)"
)
_AFTER_ORDINAL = re.compile(
    r"(?<=[0-9](?:st|nd|rd|th)[ -])(?:(?P<floor>[Ff]lr?\b\.?)|(?P<quarter>[Qq]trs?\b\.?)"
    r"|(?P<edition>(?:[Rr]ev\. )?edn?\b\.?)|(?P<minute>min\b\.?)"
    r"|(?P<century>c\.)(?= [A-Za-z]|[,;)]|-[A-Z]|$))"
)
# Of a poem or a chapter: v. 7; p. 3, l. 12. Between two names, v. is versus.
_LINE = re.compile(
    r"(?:(?<=[,(;:] )|(?<=\()|^|(?<=\b[Ss]ee )|(?<=\bin )|(?<=\b[Cc]f\. ))(?P<short>[vl])\. "
    r"(?=[0-9]{1,3}(?![0-9]|\.[0-9]))"
)
_FOLLOWING = re.compile(r"(?<=[0-9]) ?ff\.?(?!\w)")
_ATTACHED = re.compile(r"\b(?P<short>Sched|Appx?|Exh?|[Cc]l)\. (?=[A-Z0-9]\b)")
_ATTACHMENTS = {
    "Sched": "schedule", "App": "appendix", "Appx": "appendix", "Ex": "exhibit", "Exh": "exhibit",
    "Cl": "clause", "cl": "clause",
}  # fmt: skip
# Points of the compass: 10 km NE of town; heading NW.
_POINTS = {
    **_COMPASS, "NNE": "North Northeast", "ENE": "East Northeast", "ESE": "East Southeast",
    "SSE": "South Southeast", "SSW": "South Southwest", "WSW": "West Southwest",
    "WNW": "West Northwest", "NNW": "North Northwest",
}  # fmt: skip
_POINT = re.compile(
    rf"(?:(?<=\b[Hh]ead )|(?<=ing )|(?<=km )|(?<=mi )|(?<=mph )|(?<=kph )|"
    rf"(?<=knots )|(?<=miles )|(?<=winds )|(?<=wind )|(?<=due ))"
    rf"(?P<point>{alternatives(_POINTS)})\b(?![.'&])"
    rf"|\b(?P<before>{alternatives(point for point in _POINTS if len(point) > 1)})(?= (?:of|"
    rf"winds?|corner|side|Asia|quadrant)\b)"
)
# 2 med. onions, sm./med./lg.; elsewhere the word is medical.
_SIZE = re.compile(r"(?:(?<=[0-9] )|(?<=\bsm\., )|(?<=\bsm\./))med\.")
_LIFE = re.compile(r"(?<![\w.])(?P<short>[bd])\. (?=(?:1[0-9]|20)[0-9]{2}\b)")
_REVISION = re.compile(r"\bRev\.? (?=[A-Z0-9](?:[.,;:)](?![0-9])| ?$))")
_STATE = re.compile(
    rf"(?<=[a-z], )(?P<state>{alternatives(_STATES)})(?![\w'-])"
    r"(?: (?P<zip>[0-9]{5})(?:-(?P<four>[0-9]{4}))?\b)?"
)
_ON_STREET = r" (?:Ave|Blvd|Pkwy|Rd)\b"  # Mass. Ave.
_OLD_STATE = re.compile(
    rf"(?:(?<=[a-z], )|(?P<party>(?:\(|\b)[DRI])-|\b(?=[A-Z][a-z]+\.{_ON_STREET}))"
    rf"(?P<state>{alternatives(_OLD_STATES)})\."
    rf"(?P<end>(?!{_ON_STREET}){_END})?(?!\w)"
)
# An abbreviation in a text in capitals: DR. SMITH VS. THE DEPT. OF ENERGY.
_SHOUTED = re.compile(
    r"\b(?:DRS?|MRS?|MS|PROF|ST|AVE|BLVD|RD|DEPT|INC|LTD|CORP|CO|BROS|APPROX|ETC|VOL|FIG|CH|JR|"
    r"SR|APT|"
    r"GOVT|ASSOC|FT|MT)\.|\bVS\.|(?<=[A-Z]{2} )VS(?= [A-Z]{2})|\bNO\.(?= ?[0-9])|\bEST\.(?= "
    r"[0-9]{4})"
)
_TOWN = re.compile(r"(?<![A-Z])[A-Z]?[a-z]{2,20}, $")
# HI and OK are states too, but not after "Well," or before "Bob".
_AFTER_STATE = re.compile(r"[.,;:)!?]|$| (?=[a-z0-9(–—-])| +(?=[A-Z] [a-z]+ [A-Z] )")
_KNOWN_TOWN = re.compile(
    r"\b(?!(?:Well|Yes|Yeah|No|Sure|So|Right|Fine|Oh|Hey|Great|Alright|Then|Now|And|But), $)"
    r"[A-Z][a-z]{2,20}, $"
)
# Jane Doe, MD, PhD; but Baltimore, MD.
_DEGREE_AFTER = re.compile(r", (?:Ph\.?D|M[PBHS][HAS]|FA[A-Z]{1,3}|JD|MSc|RN|Professor)\b")
_ALSO_WORDS = frozenset("HI IN ME OH OK OR PA MA LA ID CO ON AB MB".split())
_COMPASS_BEFORE = re.compile(
    rf"(?:\b(?P<point>[NSEW])\.|(?<=[0-9] )(?P<bare>[NS][EW]?|[EW])) "
    rf"(?=(?:[A-Z][a-z]+|[0-9]+\w\w) (?:{_STREET})\b)"
)
_COMPASS_AFTER = re.compile(
    rf"\b(?P<street>(?:{_STREET}|Place)) (?P<point>{alternatives(_COMPASS)})\b(?=[.,;:)]| ?$| "
    rf"[a-z])"
)

_DATED = SHORT_DAYS | SHORT_MONTHS
_NAMES = {**_DATED, **{name: name for name in [*DAYS, *MONTHS]}}
# Short for a day or month also without other words that show it.
_CLEAR = [short for short in _DATED if short not in ("Sat", "Sun", "Jan", "Mar", "May")]
_NAME = alternatives(_NAMES)
_LISTED = re.compile(
    rf"\b(?:{_NAME})"
    rf"(?:\.?(?:,? and |,? or |, ?| & | ?[-–/] ?)(?:{_NAME})\b)+(?!-[a-z])\.?(?P<end>{_END})?"
)
# Sept. 12 – Sun., Sept. 15
_TO_DATE = re.compile(rf"(?:(?<=[0-9])|(?<=[0-9](?:st|nd|rd|th))) ?[-–] ?(?=(?:{_NAME})\b(?!-))")
_WORKDAYS = re.compile(r"\bM[-–]F\b(?=,?:? [0-9])|(?<=[0-9ap]m )M[-–]F\b")
_ONE_NAME = re.compile(rf"(?P<mark>(?<=[a-z.]) ?[-–/] ?)?\b(?P<name>{_NAME})\b\.?")
_CLEAR_NAME = re.compile(
    rf"\b(?P<short>{alternatives(_CLEAR)})\b(?!-[a-z]|'(?!s\b))(?:\.(?= [a-z0-9(]|,|'s\b))?"
)
_UNCLEAR_NAME = re.compile(
    r"\b(?P<short>Sat|Sun|Jan|Mar)(?:\.(?= '?[a-z0-9(]|,)|\.?(?=,? (?:'?[0-9]|(?:"
    + alternatives([*MONTHS, *SHORT_MONTHS])
    + r")\b)))"
    r"|\b(?P<day>Sat|Sun)(?= (?:nights?|mornings?|afternoons?|evenings?|noon|brunch)\b)"
    r"|(?:(?<=\b[Ii]n )|(?<=\b[Bb]y )|(?<=\b[Ss]ince )|(?<=early )|(?<=late )|(?<=\b[Ll]ast )|"
    r"(?<=\b[Nn]ext ))(?P<month>Jan|Mar)(?:\.(?=,)|(?=\.?(?: ?$|[;:!?])))"
    r"|(?<=\b[Oo]n )(?P<on>Sat|Sun)\b|(?<=\b[Cc]losed )(?P<closed>Sat|Sun)\b"
    r"|(?<=\b[Ee]very )(?P<every>Sat|Sun)\b"
    r"|(?<=\b[Nn]ext )(?P<next>Sat|Sun)\b|(?<=\b[Ll]ast )(?P<last>Sat|Sun)\b"
)


def read_abbreviations(text: str) -> str:
    """The text with words in place of abbreviations."""
    text = _INITIALS.sub(_initials, _SHOUTED.sub(_shouted, text))
    text = _OLD_STATE.sub(_old_state, text)
    text = _STATE.sub(_state, text)
    text = _COMPASS_BEFORE.sub(lambda m: _COMPASS[m["point"] or m["bare"]] + " ", text)
    text = _INITIAL.sub(r"\1\2 ", text)
    text = _SIZE.sub("medium", text)
    text = _ABBREVIATION.sub(_abbreviation, text)
    text = _KEY.sub(lambda match: _KEYS[match[0]], text)
    text = _UNIT_ALONE.sub(_unit_alone, text)
    text = _NUMBERED.sub(lambda m: _BEFORE_NUMBER.get(m[1] or m["bare"], "number") + " ", text)
    text = _LINE.sub(lambda m: {"v": "verse", "l": "line"}[m["short"]] + " ", text)
    text = _AFTER_ORDINAL.sub(_after_ordinal, text)
    text = _FOLLOWING.sub(" and following", text)
    text = _ATTACHED.sub(lambda match: _ATTACHMENTS[match["short"]] + " ", text)
    text = _POINT.sub(lambda match: _POINTS[match["point"] or match["before"]], text)
    text = _LIFE.sub(lambda match: "born " if match["short"] == "b" else "died ", text)
    text = _REVISION.sub("revision ", text)
    text = read_chat(_read_colleges(text))
    text = _STREET_NAME.sub(r"\g<name> Street", text)
    text = _TITLE.sub(lambda match: _BEFORE_NAME[next(filter(None, match.groups()))], text)
    text = _SUFFIX.sub(_suffix, text)
    text = _COMPASS_AFTER.sub(lambda match: f"{match['street']} {_COMPASS[match['point']]}", text)
    text = _days_and_months(text)
    return text.replace("° C", "°C").replace("° F", "°F")


def _shouted(match: re.Match[str]) -> str:
    small = match[0].lower()
    return small if small in _ABBREVIATIONS else match[0].capitalize()


def _unit_alone(match: re.Match[str]) -> str:
    name = UNITS[match["unit"]]
    before = match.string[max(0, match.start() - 12) : match.start()]
    is_plural = match["unit"].endswith("s") or _SEVERAL.search(before)
    return (many(name) if is_plural else name) + _stop(match)


def _after_ordinal(match: re.Match[str]) -> str:
    return match.lastgroup or ""


def _initials(match: re.Match[str]) -> str:
    letters = " ".join(match["letters"].replace(".", ""))
    return letters + ("'s" if match["s"] else _stop(match))


def _state(match: re.Match[str]) -> str:
    state, zip_code = match["state"], match["zip"]
    if not _TOWN.search(match.string[max(0, match.start() - 24) : match.start()]):
        return match[0]
    if zip_code:
        return f"{_STATES[state]} {digits(zip_code)}" + (
            f", {digits(match['four'])}" if match["four"] else ""
        )
    if state == "MD" and _DEGREE_AFTER.match(match.string, match.end()):
        return "M D"
    if state in _ALSO_WORDS and not (
        _AFTER_STATE.match(match.string[match.end() :])
        and _KNOWN_TOWN.search(match.string[max(0, match.start() - 24) : match.start()])
    ):
        return match[0]
    return _STATES[state]


def _old_state(match: re.Match[str]) -> str:
    party = f"{match['party']} " if match["party"] else ""
    return party + _OLD_STATES[match["state"]] + _stop(match)


def _abbreviation(match: re.Match[str]) -> str:
    short = match["short"]
    if match["number"] is not None and short in ("min.", "est."):  # 10 min. later
        return "estimated" if short == "est." else match[0]
    if short in ("est.", "Est.") and _ESTIMATE.match(match.string, match.end()):
        return "estimated"
    return _ABBREVIATIONS[short] + (_stop(match) if short in _MAY_END else "")


def _college(match: re.Match[str]) -> str:
    state = match["state"]
    return f"{_OLD_STATES[state] if state else match['rival'] or match['team']} State"


#: Colleges and conferences. Compiled when a text first needs them, as they take long.
_read_colleges = Rules(
    (
        (_COLLEGE, _college),
        (
            r"\b(?P<c>[Cc])onf\. (?=(?:rooms?|calls?|center|table)\b)",
            lambda match: f"{match['c']}onference ",
        ),
    ),
    only_if=r" St\.|onf\. ",
    spaced=False,
)


def _suffix(match: re.Match[str]) -> str:
    return _AFTER_NAME[match["short"] or match["bare"] or match["clear"]] + _stop(match)


def _stop(match: re.Match[str]) -> str:
    return "" if match["end"] is None else "."


def _days_and_months(text: str) -> str:
    text = DAY_LETTERS.sub(days_of_letters, text)
    text = _WORKDAYS.sub("Monday to Friday", _LISTED.sub(_listed, text))
    text = _TO_DATE.sub(" to ", text)
    text = _CLEAR_NAME.sub(lambda match: _DATED[match["short"]], text)
    return _UNCLEAR_NAME.sub(lambda match: _DATED[next(filter(None, match.groups()))], text)


def _listed(match: re.Match[str]) -> str:
    """A list or range of days or months: Mon, Tue–Fri → Monday, Tuesday to Friday."""

    def name(one: re.Match[str]) -> str:
        mark = (one["mark"] or "").strip()
        return {"": "", "/": ", "}.get(mark, " to ") + _NAMES[one["name"]]

    return _ONE_NAME.sub(name, match[0]) + _stop(match)
