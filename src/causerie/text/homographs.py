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

from causerie.text.inflections import ending

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
    "extract": ("ˈɛkstɹˌækt", "ɪkstɹˈækt"), "graduate": ("ɡɹˈæʤəwət", "ɡɹˈæʤəwˌAt"),
    "house": ("hˈWs", "hˈWz"), "import": ("ˈɪmpˌɔɹt", "ɪmpˈɔɹt"),
    "increase": ("ˈɪnkɹˌis", "ɪnkɹˈis"), "insert": ("ˈɪnsˌɜɹt", "ɪnsˈɜɹt"),
    "insult": ("ˈɪnsˌʌlt", "ɪnsˈʌlt"), "intimate": ("ˈɪntəmət", "ˈɪntəmˌAt"),
    "moderate": ("mˈɑdəɹət", "mˈɑdəɹˌAt"), "object": ("ˈɑbʤəkt", "əbʤˈɛkt"),
    "perfect": ("pˈɜɹfəkt", "pəɹfˈɛkt"), "permit": ("pˈɜɹmɪt", "pəɹmˈɪt"),
    "present": ("pɹˈɛzᵊnt", "pɹizˈɛnt"), "progress": ("pɹˈɑɡɹəs", "pɹəɡɹˈɛs"),
    "project": ("pɹˈɑʤˌɛkt", "pɹəʤˈɛkt"), "protest": ("pɹˈOtˌɛst", "pɹətˈɛst"),
    "rebel": ("ɹˈɛbᵊl", "ɹəbˈɛl"), "record": ("ɹˈɛkəɹd", "ɹəkˈɔɹd"),
    "separate": ("sˈɛpəɹət", "sˈɛpəɹˌAt"), "sow": ("sˈW", "sˈO"),
    "subject": ("sˈʌbʤɛkt", "səbʤˈɛkt"), "subordinate": ("səbˈɔɹdənət", "səbˈɔɹdənˌAt"),
    "survey": ("sˈɜɹvˌA", "səɹvˈA"), "suspect": ("sˈʌspˌɛkt", "səspˈɛkt"),
    "torment": ("tˈɔɹmˌɛnt", "tɔɹmˈɛnt"), "transfer": ("tɹˈænsfəɹ", "tɹænsfˈɜɹ"),
    "transport": ("tɹˈænspˌɔɹt", "tɹænspˈɔɹt"),
    "use": ("jˈus", "jˈuz"),
}  # fmt: skip
# Of these, the verb is usual.
_VERB_OR_NOUN = {
    "convert": ("kˈɑnvˌɜɹt", "kənvˈɜɹt"), "initiate": ("ɪnˈɪʃiət", "ɪnˈɪʃiˌAt"),
    "produce": ("pɹˈOdˌus", "pɹədˈus"), "refuse": ("ɹˈɛfjˌus", "ɹəfjˈuz"),
    "reject": ("ɹˈiʤˌɛkt", "ɹəʤˈɛkt"), "resume": ("ɹˈɛzəmˌA", "ɹəzˈum"),
}  # fmt: skip

# Where the words around decide otherwise than by the part of speech: the first pattern that is
# found in the sentence, with "_" for the word, decides; an empty pattern is the usual reading.
_PATTERNS: dict[str, tuple[tuple[str, str], ...]] = {
    "lead": (
        (
            "lˈɛd",
            r"\bof _(?! (?:singers?|guitar\w*|roles?|actors?|vocal\w*|writers?|times?|by)\b)|"
            r"_ (?:paint|pipes?|poisoning|weights?|shot|bullets?|acid|free|based|pencils?|"
            r"solder|levels|content|lined|crystal|roof|ore|mines?|exposure|apron|balloon)\b|"
            r"\b(?:molten|melted|toxic|liquid|pencil|red|heavy) _|\b(?:of|contains?|containing|"
            r"contained|like|from|than|and|or|with) _ ?(?:[,.;!?]|$|in the)|\b_ (?:is|"
            r"was) (?:a |an )?(?:\w+ )?(?:metal|heavy|toxic|soft|element|poisonous)|"
            r"\b_ (?:melts|poisons)|(?:gold|tin|zinc|copper|iron|mercury|silver)(?: ,)?(?: and|"
            r" or)? _\b",
        ),
        ("lˈid", ""),
    ),
    "bass": (
        (
            "bˈæs",
            r"\b(?:caught|catch|catches|catching|fish|fishing|fisherman|fishermen|angler|lake|"
            r"river|pond|grilled|fried|baked|steamed|striped|largemouth|smallmouth|sea|bait|"
            r"hooked|trout|salmon|perch|fillets?|swam|swim|swims)\b",
        ),
        ("bˈAs", ""),
    ),
    "row": (
        (
            "ɹˈW",
            r"\b(?:terrible|huge|blazing|furious|bitter|public|political|loud|almighty|"
            r"diplomatic|massive|heated|violent|angry|family|nasty) _|\b(?:had|have|having|"
            r"has) (?:a|another) _(?! of)|\b_ (?:over|about|broke|erupted|between)\b",
        ),
        ("ɹˈO", ""),
    ),
    "tear": (
        (
            "tˈɪɹ",
            r"_ (?:rolled|ran|fell|gas|ducts?|drops?|stained|streamed|slid|trickled|came|"
            r"in (?:his|her|my|your) eyes?|down (?:his|her|my) (?:cheek|face)|slipped|glistened|"
            r"welled)|\b(?:single|shed|shedding|sheds|wiped|wipe|cried|crying) (?:a |away a |"
            r"away the |the |one )?_|\b(?:lone|bitter|salty|happy) _",
        ),
        ("tˈɛɹ", ""),
    ),
    "tears": (
        (
            "tˈɛɹz",
            r"\b(?:he|she|it|who|that|which|\w+[^s]) _ (?:up|down|off|apart|the|it|through|his|"
            r"her|out|open|easily|them|a|into (?!tears))|\b_ (?:up|down|apart|off) (?:the|a)|"
            r"\b(?:ligament|muscle|small|rotator|few) _|_ in the (?:fabric|paper|sail|curtain|"
            r"net)|\bit _ ?(?:[,.;]|$)",
        ),
        ("tˈɪɹz", ""),
    ),
    "wind": (
        (
            "wˈInd",
            r"\b(?:to|will|would|can|could|must|should|you|they|we|i|may|might|then|please|"
            r"didn't|don't|let's|and) _ (?:up|down|it|the|my|your|his|her|its|their|this|around|"
            r"back|through|along|along|a|yarn|wool|slowly|tightly)\b|(?:^|[,.;] )(?:please |"
            r"then )?_ (?:up|down|the|your|it|this|a)\b(?! (?:blew|blows|is|was|howl))|"
            r"\b(?:roads?|rivers?|paths?|trails?|streets|stairs) (?:\w+ly )?_\b|\bto _ (?:[.,]|"
            r"$)",
        ),
        ("wˈɪnd", ""),
    ),
    "winds": (
        (
            "wˈIndz",
            r"\b(?:road|river|path|trail|street|stream|line|staircase|he|she|it|creek|highway|"
            r"valley|which|that|who) (?:\w+ly )?_ (?:its|through|along|around|up|down|past|the|"
            r"his|her|between|across|into|over)",
        ),
        ("wˈɪndz", ""),
    ),
    "wound": (
        (
            "wˈWnd",
            r"_ (?:up|down|around|round|through|its|their|tightly|tight|back|along|across|"
            r"between)\b|\b(?:he|she|they|i|we|you|it|who|mother|father|(?:had|was|were|been|is|"
            r"are) \w+ly) _ (?:the|a|his|her|my|some|it|yarn|wool|rope|thread)\b|"
            r"\b[a-z]+ _ the (?:clock|watch|rope|yarn|string|thread|wire|wool|film|toy|cord|"
            r"hose)",
        ),
        ("wˈund", ""),
    ),
    "bow": (
        (
            "bˈW",
            r"\b(?:to|will|would|must|should|they|we|i|he|you|did|didn't|don't|not|and|all|men|"
            r"please) _ (?:down|before|to|out|low|his|her|their|your|my|and|as|when|politely|"
            r"deeply|in|at|[.,])|\b(?:to|must|should|will) _\b|^_ (?:down|before|to|your|low)|"
            r"_ (?:your|his|her|their|my) heads?\b|\b(?:take|took|takes|taking|taken|makes?|"
            r"made|gave|give) (?:a|an|his|her|their|another|one|your)(?: \w+)? _(?! tie)|"
            r"\b(?:deep|polite|final|graceful|low|slight|formal|courtly) _|_ of (?:the|his|her|"
            r"their|our|a) (?:\w+ )?(?:ship|boat|vessel|yacht|canoe|ferry|submarine)|\b(?:ship|"
            r"ship's|boat|boat's|vessel|stern|sailors?|captain|deck|anchor|canoe|port)\b",
        ),
        ("bˈO", ""),
    ),
    "bows": (
        (
            "bˈWz",
            r"\b(?:he|she|who|everyone|it|the \w+[^s]) _ (?:down|before|to|out|low|his|her|and|"
            r"[.,])|\b(?:took|take|takes|taking) (?:their |several |many |two )?_",
        ),
        ("bˈOz", ""),
    ),
    "dove": (
        (
            "dˈOv",
            r"_ (?:into|in|under|off|down|for|deep|deeper|headfirst|head|right|straight|across|"
            r"behind|underwater|from|back|out|to)\b(?! the (?:sky|cage|tree|roof))|\b(?:he|she|"
            r"they|we|i|it|who|suddenly|then|quickly) _\b",
        ),
        ("dˈʌv", ""),
    ),
    "minute": (
        (
            "mInˈut",
            r"\b(?:so|very|too|extremely|incredibly|most|such|quite|rather|almost|in|are|"
            r"were) _(?= (?:that|detail|to|quantities|amounts|[.,])| ?$|\b(?! (?:and|or|"
            r"by)))(?! (?:or|by))|_ (?:amounts?|quantit\w+|details?|particles?|cracks?|traces?|"
            r"differences?|fractions?|changes?|organisms?|creatures?|fragments?|insects?|doses?|"
            r"specks?|pieces?|variations?|examination|scale|holes?|crystals?|errors?|"
            r"droplets?)\b",
        ),
        ("mˈɪnət", ""),
    ),
    "close": (
        (
            "klˈOs",
            r"_ (?:to|by|friends?|enough|together|range|call|up|behind|relative|relationship|"
            r"family|proximity|race|game|match|contact|attention|ties|second|shave|watch|look|"
            r"at hand|as|knit|quarters|encounter|inspection|than|observation|fit|allies|ally|"
            r"cousin|finish)\b(?! (?:the|my|our|his|her|their|your|this) (?:shop|door|store|"
            r"office|account|window|road|school|business|gap|deal))|\b(?:so|very|too|as|is|are|"
            r"was|were|be|been|being|get|gets|got|getting|come|comes|came|coming|stay|stayed|"
            r"stays|keep|sit|sat|stood|stand|how|pretty|really|that|quite|dangerously|extremely|"
            r"seem|seems|seemed|feel|feels|felt|remain|remained|not|held|hold|draw|drew|look|"
            r"looks|it's|he's|she's|we're|they're|i'm|you're) _\b|\b(?:a|an|the|my|his|her|"
            r"their|our) (?:\w*[^s ] )?_ (?!of\b|[,.!?]|$)[a-z]",
        ),
        (
            "klˈOz",
            r"\b(?:to|will|would|can|could|should|must|may|might|please|let's|don't|didn't|did|"
            r"do|does|doesn't|won't|i|you|we|they|and|or|then|never|always|not|usually|shall|"
            r"cannot|can't|who|a|the|it's|near|at|[a-z]+s|at the|did \w+|him|her|me|them|"
            r"it) _\b|(?:^|[,.;:] )_ (?:the|your|my|his|her|its|our|their|that|this|it|all|both|"
            r"any|every|a|down|each|these|those|with|windows|doors|out)\b",
        ),
        ("klˈOs", ""),
    ),
    "live": (
        (
            "lˈIv",
            r"_ (?:shows?|music|performances?|concerts?|broadcasts?|streams?|streaming|"
            r"audiences?|albums?|tv|television|radio|bands?|wires?|coverage|events?|chat|"
            r"recordings?|videos?|versions?|reports?|updates?|animals?|bait|ammunition|rounds?|"
            r"sports?|feeds?|footage|entertainment|demos?|theater|births?|fire|cam|cameras?|"
            r"births|blog|lobsters?|birds|session|interview|translation|captions?|transcription|"
            r"t v)\b|\b(?:go|going|goes|went|gone|streamed|streaming|broadcast|broadcasting|"
            r"recorded|performed|air|aired|airing|perform|performing|play|playing|played|sing|"
            r"singing|sang|shown|filmed|reporting|is|are|was|were|we're|it's|now|be|been|a|the|"
            r"this|band|watched|them|him|appeared|coming) _ ?(?:[,.!?]|$|(?:from|on|at|in|"
            r"tonight|now|today|online|here|again|before|next|every|for)\b)|\b(?:a|an|the|some|"
            r"of|my|this|our|best|first) _ ",
        ),
        ("lˈɪv", ""),
    ),
    "lives": (
        (
            "lˈIvz",
            r"\b(?:the|our|their|your|my|his|her|its|these|those|many|more|of|all|both|two|"
            r"three|nine|thousands|millions|hundreds|save[sd]?|saving|lost|lose|loses|cost|"
            r"costs|change[sd]?|changing|takes?|took|ruin\w*|risk\w*|human|private|daily|"
            r"everyday|personal|innocent|other|\w+'s|\w+s'|double|past|busy|real|young|whole|"
            r"own|some|no|affect\w*|touch\w*|black|new|long|happy|inner|social|for|improve[sd]?|"
            r"improving|extra|separate|full|claimed) _\b|_ (?:were|are|matter|of)\b",
        ),
        ("lˈɪvz", ""),
    ),
    "read": (
        (
            "ɹˈid",
            r"\b(?:to|will|would|can|could|should|must|may|might|shall|do|does|did|don't|"
            r"doesn't|didn't|can't|cannot|couldn't|won't|wouldn't|let's|please|a|good|easy|"
            r"quick|great|never to|not to|let me|let us|'ll|i'll|you'll|we'll|he'll|she'll|"
            r"they'll|i'd|you'd) (?:\w+ly |always |never |just |also |not |even |still )?_\b|"
            r"\b(?:do|does|did|can|could|will|would|should|shall|may|might|don't|didn't|"
            r"can't) (?:you|i|we|they|he|she|it|anyone|people|the \w+|your \w+|my \w+) (?:ever |"
            r"even |really |also |please )?_\b",
        ),
        (
            "ɹˈɛd",
            r"\b(?:have|has|had|having|i've|you've|we've|they've|haven't|hasn't|hadn't|he'd|"
            r"she'd|was|were|been|being|is|are|be|get|got|well|widely) (?:\w+ly |already |"
            r"never |just |ever |also |not |always |only |all |once )?_\b|\b(?:have|has|had|"
            r"haven't|hasn't|hadn't) (?:you|i|we|they|he|she|it|anyone|people|the \w+|your \w+|"
            r"my \w+) (?:ever |even |already |really |all |just )?_\b|\b(?:yesterday|"
            r"last (?:night|week|month|year|summer|winter|time|sunday|monday|tuesday|wednesday|"
            r"thursday|friday|saturday|weekend|spring|fall)|ago|this morning|earlier|"
            r"as a (?:child|boy|girl|kid)|when (?:i|he|she|we|they) (?:was|were)|in (?:nineteen|"
            r"two thousand|college)|once _)\b|\b(?:he|she|it|which|who|mother|father|mom|dad|"
            r"sister|brother|teacher|sign|note|letter|message|label|headline|judge|card|"
            r"everyone|everybody|nobody) (?:\w+ly |then |once |also |just |never |always )?_\b|"
            r"\b(?:and|then) (?:then )?_ (?:it|the|a) \w+ (?:aloud )?to (?:him|her|me|us)|"
            r"\b(?:sat|came|opened|took|picked|went|got)\b.* (?:and|then) _\b",
        ),
        ("ɹˈid", ""),
    ),
    "content": (
        (
            "kəntˈɛnt",
            r"\b(?:is|are|was|were|be|been|being|feel|feels|felt|seem|seems|seemed|so|very|"
            r"quite|perfectly|not|more|i'm|he's|she's|they're|we're|looked|looks|look|remain|"
            r"remained|fully|completely|happy and|grew|rest|well|to) (?:\w+ly )?_\b(?! (?:is|"
            r"creators?|was|for|on|of))|\b_ (?:with|to) (?:his|her|their|my|life|just|simply|"
            r"the way|be|sit|stay|watch|let|what|wait)",
        ),
        ("kˈɑntˌɛnt", ""),
    ),
    "contents": (("kˈɑntˌɛnts", ""),),
    "houses": (("hˈWzᵻz", ""),),
    "deserts": (
        (
            "dəzˈɜɹts",
            r"\bjust _|\b(?:he|she|who|it|never|nobody) _ (?:his|her|the|a|his|them|us|me)\b",
        ),
        ("dˈɛzəɹts", ""),
    ),
    "invalid": (
        (
            "ˈɪnvələd",
            r"\b(?:an?|the|old|helpless|poor|bedridden|elderly) _ ?(?:$|[,.;!?]|(?:who|and|for|"
            r"since|in (?:a|his|her) (?:bed|wheelchair)|after|all|mother|father|wife|husband|"
            r"son|daughter|aunt|uncle|sister|brother|was|had|lay|sat)\b)",
        ),
        ("ɪnvˈælɪd", ""),
    ),
    "number": (
        (
            "nˈʌməɹ",
            r"\b(?:grew|grow|grows|felt|feel|feels|get|gets|getting|got|even|became|becoming|"
            r"much|went|going) _ ?(?:$|[,.;!?]|(?:and|than|by|with|every|as|still|after)\b)|"
            r"_ than\b",
        ),
        ("nˈʌmbəɹ", ""),
    ),
    "does": (
        (
            "dˈOz",
            r"\b(?:the|two|three|four|five|several|female|few|young|these|those|of|and|many|"
            r"some|bucks and|wild) _ ?(?:$|[,.;!?]|(?:and|were|are|in|with|grazed|graze|ran|run|"
            r"stood|walked|on|had|have|crossed|near)\b)",
        ),
        ("dˈʌz", ""),
    ),
    "used": (
        (
            "jˈust",
            r"(?<!be )(?<!is )(?<!are )(?<!was )(?<!were )(?<!been )(?<!being )_ to\b|\b(?:get|"
            r"got|getting|gets|gotten|am|i'm|you're|we're|they're|he's|she's|he was|she was|"
            r"i was|we were|you were|they were|he is|she is|they are|we are|you are|not|be|"
            r"become|became) _ to\b",
        ),
        ("jˈuzd", ""),
    ),
    "affect": (
        (
            "ˈæfˌɛkt",
            r"\b(?:flat|blunted|positive|negative|his|her) _ ?(?:$|[,.;]|(?:was|is)\b)",
        ),
        ("əfˈɛkt", ""),
    ),
    "affects": (("əfˈɛkts", ""),),
    "sewer": (("sˈuəɹ", ""),),
}

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
    "household garbage fresh local criminal prime main daily flat world "
    "is are was were be been being am isn't aren't wasn't weren't seem seems seemed looks looked "
    "very so too quite as rather than per i'm you're we're they're he's she's it's that's".split()
)
_ARTICLES = frozenset(
    "a an the this that these those my your his her its our their some any all every each both "
    "me him them us it".split()
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
_PLURALS = frozenset("people children men women police both and or but who that which".split())
_AFTER_ADJECTIVES = frozenset("school schools student students studies program degree".split())
# Another verb follows: the sales record is old.
_OTHER_VERBS = frozenset("is was are were has have had will would can could of".split())
_ENDS = frozenset(".!?…")
_PAUSES = frozenset(",.!?;:—…")
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
    if lower in _PATTERNS:
        return _by_pattern(words, at)
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
        for phonemes, pattern in _PATTERNS[words[at].lower()]
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


def _before(words: Sequence[str], at: int) -> str:
    return words[at - 1].lower() if at > 0 else ""


def _after(words: Sequence[str], at: int) -> str:
    return words[at + 1].lower() if at + 1 < len(words) else ""


def _is_verb(words: Sequence[str], at: int, *, singular: bool) -> bool | None:
    """Whether a word is a verb; None if the words around do not show it.

    Args:
        singular: the word ends in -s: a verb of the third person, or a noun in the plural.
    """
    after = _after(words, at)
    while at > 0 and _is_adverb(words[at - 1].lower()):
        at -= 1
    before, earlier = _before(words, at), _before(words, at - 1) if at > 0 else ""
    if before in ("me", "him", "them", "us", "her", "you", "it") and earlier in _LETTING:
        return not singular and before != "it"
    if before in _BEFORE_VERBS:
        return not (singular or (before == "to" and after in _AFTER_ADJECTIVES))
    if before in _SUBJECTS:
        return True
    if before == "that":  # a determiner, or the start of a clause: plants that produce
        return (earlier.endswith("s") and not singular) or (after in _ARTICLES and singular)
    if before in _BEFORE_NOUNS or before.endswith("'s"):
        return False
    if after == "of":
        return False
    if not before or before[0] in _PAUSES or before in ("and", "or", "but", "then"):
        return (after in _ARTICLES and not singular) or None
    if singular:
        return (not before.endswith("s") and after in _ARTICLES) or None
    if before in _PLURALS or (before.endswith("s") and not before.endswith(("ss", "us", "is"))):
        return after not in _OTHER_VERBS or None
    # A base form does not follow a noun in the singular.
    return False if earlier in _ARTICLES else None


def _is_adverb(word: str) -> bool:
    return word in _ADVERBS or (word.endswith("ly") and word not in _NOT_ADVERBS)
