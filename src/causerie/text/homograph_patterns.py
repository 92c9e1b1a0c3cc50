"""The homographs whose pronunciation depends on certain words around them.

Each word has patterns with their phonemes. The first pattern that is found in the sentence decides.
The sentence is in small letters, with "_" for the word and spaces around punctuation. An empty
pattern is the usual pronunciation.
"""

from __future__ import annotations

# Reading is west of London.
_IS_PLACE = r"^_ (?:is|lies|has) .*\b(?:north|south|east|west|town|city|coast|capital)\b"
PATTERNS: dict[str, tuple[tuple[str, str], ...]] = {
    "lead": (
        (
            "lˈɛd",
            r"\bof _(?! (?:singers?|guitar\w*|roles?|actors?|vocal\w*|writers?|times?|by)\b)|"
            r"_ (?:paint|pipes?|poisoning|weights?|shot|bullets?|acid|free|based|pencils?|"
            r"dust|sinkers?|oxide|acetate|plumbing|additives?|contamination|batter(?:y|ies)|"
            r"solder|levels|content|lined|crystal|roof|ore|mines?|exposure|apron|balloon)\b|"
            r"\b(?:heavy|dull|soft|dense) as _\b|\b(?:covered|lined|clad|encased|coated) (?:in|"
            r"with) _|"
            r"\b(?:test\w*|check\w*|screen\w*) (?:\w+ ){1,4}for _|"
            r"\b(?:the|this|that|these|those|its|their) \w+ (?:is|are|was|were) _ ?(?:[,.;!?]|$)|"
            r"\b(?:found|detected?|detects|discovered|measured|remov\w+|traces of|banned|contains|"
            r"scrap\w+|strip\w+|swallow\w+|ingest\w+|inhal\w+|stole|steal\w*|mining|mined) (?:the |"
            r"any |no |more |some )?_ (?:in|from|and|off|out|to)\b"
            r"(?! (?:\w+ ){0,3}(?:case|investigation|murder|search|act|play|film|story|game|race|"
            r"match|polls?|inning|half)\b)|"
            r"_ (?:in|from) (?:(?!the (?:polls?|race|game|standings|series|match)\b)\w+ ){0,3}"
            r"(?:water|paint|soil|pipes?|gasoline|petrol|toys?|blood|roof|fuel|food|makeup|jewelry|"
            r"air|crystal|glass)\b|"
            r"\b(?:molten|melted|toxic|liquid|pencil(?:'s)?|red|heavy) _|\b(?:of|contains?|"
            r"containing|"
            r"contained|like|from|than|and|or|with) _ ?(?:[,.;!?]|$|in the)|"
            r"\bthere (?:is|was) _\b|\b(?:is|was) there _\b|\b_ (?:is|was) (?:a |an )?(?:\w+ )?"
            r"(?:metal|heav(?:y|ier)|toxic|soft(?:er)?|denser?|element|poisonous)|"
            r"\b(?:put|puts|add|adds|added|use|used|mix\w*|melt\w*) _ (?:in|to|into|for)\b|"
            r"\b_ (?:melts|poisons)|_ (?:and|or|,) (?:mercury|arsenic|zinc|tin|copper|iron|silver|"
            r"cadmium|nickel|asbestos)\b|^_ (?:is|was) (?:once |still )?(?:used|found|banned|"
            r"mined)|"
            r"(?:gold|tin|zinc|copper|iron|mercury|silver)(?: ,)?(?: and|"
            r" or)? _\b",
        ),
        ("lˈid", ""),
    ),
    "bass": (
        (
            "bˈAs",
            r"_ (?:guitars?|guitarist|players?|drums?|lines?|solo|clef|voice|notes?|part|singer|"
            r"clarinet|speakers?)\b|\b(?:plays?|played|playing|double|electric|upright) (?:the )?_",
        ),
        (
            "bˈæs",
            r"\b(?:caught|catch|catches|catching|fish|fishing|fisherman|fishermen|angler|lake|"
            r"river|pond|grilled|fried|baked|steamed|striped|largemouth|smallmouth|sea|bait|"
            r"hooked|trout|salmon|perch|fillets?|swam|swim|swims|"
            r"jump\w*|leap\w*|leapt|reel\w*|lures?|served?|serving|ate|eats?|cook\w*|lemon|menu|"
            r"order(?:ed|s)?|vegetables|sauce|recipe)\b",
        ),
        ("bˈAs", ""),
    ),
    "row": (
        (
            "ɹˈW",
            r"\b(?:terrible|huge|blazing|furious|bitter|public|political|loud|almighty|"
            r"diplomatic|massive|heated|violent|angry|family|nasty) _|\b(?:had|have|having|"
            r"has) (?:a|another) _(?! of)|\b_ (?:over|about|among|broke|erupted|between|could be "
            r"heard)\b",
        ),
        ("ɹˈO", ""),
    ),
    "tear": (
        (
            "tˈɪɹ",
            r"\b(?:brush\w*|blink\w*|dab\w*|dried) (?:away |back )?(?:a|the|his|her|my) _\b|"
            r"_ (?:jerkers?|rolled|ran|fell|gas|ducts?|drops?|stained|streamed|slid|trickled|came|"
            r"(?:in|from|down|on) (?:his|her|my|your|their|each|one) (?:eyes?|cheeks?|face)|"
            r"slipped|glistened|"
            r"welled)|^(?=.*\b(?:eyes?|cheeks?|face|lash\w*|wept|weep\w*|sob\w*|sad\w*|grief|"
            r"blink\w*)\b)"
            r".*\b(?:an?|one|every|each|the|his|her|my) (?:\w+ )?_\b|"
            r"\b(?:single|shed|shedding|sheds|wiped|wipe|cried|crying) (?:a |away a |"
            r"away the |the |one )?_|\b(?:lone|bitter|salty|happy) _|_ (?:was|is) shed\b",
        ),
        ("tˈɛɹ", ""),
    ),
    "tears": (
        (
            "tˈɛɹz",
            r"\b(?:he|she|it|who|that|which|\w+[^s]) _ (?:up|down|off|apart|the|it|through|his|"
            r"her|out|open|easily|them|a|into (?!tears))\b|\b_ (?:up|down|apart|off) (?:the|a)|"
            r"\b(?:ligament|muscle|small|rotator|few) _|_ in the (?:fabric|paper|sail|curtain|"
            r"net)|^(?:the|this|my|his|her) \w+[^s] _ (?:along|when|if|too|under)\b|"
            r"\bit _ ?(?:[,.;]|$)",
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
            r"$)|\b(?!(?:this|its|his|was|is)\b)[a-z]+s _ (?:around|round|through|along|among|up|"
            r"down|their)\b|\b(?:to|let's|will|you|we|they|i|and) _ \w+ (?:up|down)\b",
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
            r"_ (?:up|down|around|round|through|its|their|tightly|(?:too |so |very )?tight|back|"
            r"along|across|between|(?:our|my|your) way)\b|\b(?:he|she|they|i|we|you|it|who|mother|"
            r"father|(?:had|was|"
            r"were|been|is|"
            r"are) \w+ly) _ (?:the|a|his|her|my|some|it|yarn|wool|rope|thread)\b|"
            r"\b(?:road|river|path|trail|track|queue|street|procession) _|"
            r"\b(?:clock|watch|rope|yarn|spring|coil|wire) (?:\w+ )?(?:is|was|be|are|were) _|"
            r"\b[a-z]+ _ the (?:clock|watch|rope|yarn|string|thread|wire|wool|film|toy|cord|"
            r"hose)",
        ),
        ("wˈund", ""),
    ),
    "bow": (
        (
            "bˈW",
            r"\b(?:[a-z]{3,}s|people|[a-z]*men|children) _ ?(?:[.!?]|$)|"
            r"\b(?:[a-z]+s|people|[a-z]*men|children) _ (?:to|before|down|after|at|when|as|"
            r"their)\b|"
            r"\b(?:to|will|would|must|should|they|we|i|he|you|did|didn't|don't|not|and|all|men|"
            r"please) _ (?:down|before|to|out|low|his|her|their|your|my|and|as|when|politely|"
            r"deeply|in|at|[.,])|\b(?:to|must|should|will) _\b|^_ (?:down|before|to|your|low)|"
            r"_ (?:your|his|her|their|my) heads?\b|\b(?:take|took|takes|taking|taken|makes?|"
            r"made|gave|give) (?:a|an|his|her|their|another|one|your)(?: \w+)? _(?! tie)|"
            r"\b(?:deep|polite|final|graceful|low|slight|formal|courtly) _|_ of (?:the|his|her|"
            r"their|our|a) (?:\w+ )?(?:ship|boat|vessel|yacht|canoe|ferry|submarine)|\b(?:ship|"
            r"ship's|boat|boat's|vessel|stern|sailors?|captain|deck|anchor|canoe|port|"
            r"waves?|spray|sea|rowers?|hull)\b",
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
    "bowed": (("bˈWd", ""),),
    "bowing": (("bˈWɪŋ", ""),),
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
            "mˈɪnət",
            r"\b(?:last|next|every|each|any|this|one|two|three|four|five|ten|fifteen|twenty|thirty|"
            r"forty|sixty|ninety) _",
        ),
        (
            "mInˈut",
            r"\b(?:so|very|too|extremely|incredibly|most|such|quite|rather|almost|in|are|"
            r"were|was|is) _(?= (?:that|detail|to|quantities|amounts|[.,])| ?$|\b(?! (?:and|or|"
            r"by)))(?! (?:or|by))|_ (?:amounts?|quantit\w+|details?|particles?|cracks?|traces?|"
            r"differences?|fractions?|changes?|organisms?|creatures?|fragments?|insects?|doses?|"
            r"specks?|pieces?|variations?|examination|attention|scale|holes?|crystals?|errors?|"
            r"droplets?)\b",
        ),
        ("mˈɪnət", ""),
    ),
    "close": (
        (
            "klˈOz",
            r"\b(?:does|do|did|will|can|could|should|would|must) (?:the |your |this |that |my |"
            r"our |"
            r"their )?(?:\w+ )?\w+ _ ?(?:$|[,.?!]|(?:at|on|for|early|by|before|after|down|today|"
            r"tomorrow|tonight|so|late)\b)",
        ),
        ("klˈOs", r"\b(?:keep|keeps|kept|keeping|hold|held|holds) [^,.]*_ ?(?:$|[,.;!?])"),
        (
            "klˈOs",
            r"_ to\b(?! (?:the )?(?:public|visitors|traffic|cars)\b)|"
            r"_ (?:by|friends?|enough|together|range|call|up|behind|relative|relationship|"
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
            r"do|does|doesn't|won't|i'll|you'll|we'll|they'll|he'll|she'll|it'll|i|you|we|they|"
            r"and|or|then|never|always|not|usually|shall|"
            r"cannot|can't|who|a|the|it's|near|at|[a-z]+s|at the|did \w+|him|her|me|them|"
            r"it) _\b|^\w+ _ (?:the|my|your|all)\b|"
            r"(?:^|[,.;:] )_ (?:the|your|my|his|her|its|our|their|that|this|it|all|both|"
            r"any|every|a|down|each|these|those|with|windows|doors|out|now)\b",
        ),
        ("klˈOs", ""),
    ),
    "live": (
        (
            "lˈIv",
            r"^_ from\b|^_ (?!(?:in|with|on|the|your|my|our|like|for|long\w*|well|life|and|or|as|"
            r"by|it|wh\w+|every|each|a|an|happily|free|more|better|simply|now|to|at|near|off|up|"
            r"within|under|"
            r"without|through|forever|among|this|alone|apart|together|here|there|today|"
            r"outside|inside|near|between|\w+ly)\b)[a-z]|"
            r"^(?:is|are|was|were) (?:it|they|the|this|that) (?:\w+ )?_(?: yet| already| now)? ?$|"
            r"\b(?:join|catch|meet|see|hear) (?:us|me|him|her|them) _\b|"
            r"\b(?:chat\w*|speak|talk) _ with\b|"
            r"\b(?:watch\w*|com(?:e|es|ing)|brought|bring\w*) [^,.]*_ (?:on|at|from|in|tonight)\b|"
            r"\bwas still _ ?$|"
            r"\b(?:is|was) _ and\b|"
            r"_ on (?:the )?(?:air|stage|tv|television|t v|radio|camera|youtube|facebook|instagram|"
            r"twitch)\b|\b(?:cooked|eaten|boiled|caught|captured|sold|shipped|exported) _\b|"
            r"_ (?:plants?|cultures?|vaccines?|bacteria|crabs?|worms?|crickets|chickens|cattle)\b|"
            r"_ (?:shows?|electric\w*|music|performances?|concerts?|broadcasts?|streams?|streaming|"
            r"audiences?|albums?|tv|television|radio|bands?|wires?|coverage|events?|chat|"
            r"recordings?|videos?|versions?|reports?|updates?|animals?|bait|ammunition|rounds?|"
            r"sports?|feeds?|footage|entertainment|demos?|theater|births?|fire|cam|cameras?|"
            r"births|blog|lobsters?|birds|session|interview|translation|captions?|transcription|"
            r"t v)\b|\b(?:go|going|goes|went|gone|streamed|streaming|broadcast|broadcasting|"
            r"recorded|performed|airs?|aired|airing|performs?|performing|plays?|playing|played|"
            r"sings?|"
            r"singing|sang|shown|filmed|reporting|is|are|was|were|we're|it's|now|be|been|a|the|"
            r"this|band|watched|them|him|appeared|coming) _ ?(?:[,.!?]|$|(?:from|on|at|in|"
            r"last|yesterday|tonight|now|today|online|here|again|before|next|every|for)\b)|"
            r"\b(?:a|an|the|some|"
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
            r"improving|extra|separate|full|claimed) _\b|"
            r"\bl(?:ed|eads?|eading|iv(?:e|ed|ing)) "
            r"(?:(?!where|wh[oy]|that|s?he|it|and|but|as)\w+ ){0,3}_\b|"
            r"_ (?:were|are|matter|of)\b",
        ),
        ("lˈɪvz", ""),
    ),
    "read": (
        (
            "ɹˈid",
            r"\b(?:children|people|students|kids|those|adults|men|women|readers|parents|we|you|"
            r"i|they) who _"
            r"(?!.*\b(?:yesterday|last|ago)\b)|"
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
            r"\b(?:sign|notice|banner|poster|plaque|placard|label|caption|headline|inscription|"
            r"message|note|text|screen|card|tag|sticker|shirt|engraving|letter|email|tweet)"
            r"(?: (?:over|above|on|in|at|by|near|beside|outside|from|across|under|below|around|to|"
            r"for|of|inside|behind) (?:\w+ ){1,3}| )_\b|"
            r"(?:[^s] |, )_ by (?!(?:the )?(?:light|candle\w*|moonlight|age|now|\w+ing)\b)\w|"
            r"\b(?:have|has|had|haven't|hasn't) (?:any|none|some|all|both|many|most|each|either) "
            r"of "
            r"(?:you|us|them) (?:ever |even |already |actually )?_\b|"
            r"\b(?:have|has|had|having|i've|you've|we've|they've|haven't|hasn't|hadn't|he'd|"
            r"she'd|was|were|been|being|is|are|be|get|got|well|widely) (?:\w+ly |already |"
            r"never |just |ever |also |not |always |only |all |once )?_\b|\b(?:have|has|had|"
            r"haven't|hasn't|hadn't) (?:you|i|we|they|he|she|it|anyone|people|the \w+|your \w+|"
            r"my \w+) (?:ever |even |already |really |all |just )?_\b|\b(?:yesterday|"
            r"last (?:night|week|month|year|summer|winter|time|sunday|monday|tuesday|wednesday|"
            r"thursday|friday|saturday|weekend|spring|fall)|ago|this morning|earlier|"
            r"as a (?:child|boy|girl|kid)|"
            r"(?:before|after|until) (?:he|she|they|we|i) \w+ed\b|"
            r"\b(?:i|we|they|you) _ [^,]*\band \w+ed(?: ?$| (?:it|them|the|a|him|her|my|about|"
            r"that)\b)|"
            r"_ (?:somewhere|said|was|were|in (?:the|a|an) \w+ (?:\w+ )?that)\b|(?:^|[,;] |"
            r"\b(?:and|but|that|when|after) )"
            r"(?:the|an?|my|his|her|our|your|their|this) (?:\w+ )?"
            r"(?!(?:people|children|\w*men|class|we|i|you|they)\b)\w+[^s ] _\b|"
            r"\bfinally _\b|"
            r"^(?!(?:please|never|always|just|also|then|now|only|go|try|first|next|let|once|often|"
            r"for|with|in|on|by|from|at|of|each|every|any|no|"
            r"to|not|or|and|but|don't|do|did|we|i|you|they|people|children|\w*men|can|could|should|"
            r"would|will|must|may|might|let's|if|when)\b)[a-z]+[^s ] _ (?:\w+ly|the|a|his|her|it|"
            r"my|to|"
            r"aloud|every|all|about|from|in|through)\b|"
            r"^(?:when|as|while|after) (?:i|he|she|we|they) _ [^,]*, "
            r"(?:i|he|she|we|they) (?:\w+ed|"
            r"felt|knew|saw|thought|was|were|cried|had|could|fell|found|got|bought|made|took|went|"
            r"told|said|left|gave|understood|began|wrote|\w+n't)\b|"
            r"when (?:i|he|she|we|they) (?:was|were)|(?:i|we|they|you) _ [^,]*\b(?:once|twice|"
            r"(?:three|four|five|ten|several|many|a few|two) times)|in (?:nineteen|"
            r"two thousand|college)|once _)\b|\b(?:he|she|it|which|who|mother|father|mom|dad|"
            r"sister|brother|teacher|sign|note|letter|message|label|headline|judge|card|"
            r"everyone|everybody|nobody) (?:\w+ly |then |once |also |just |never |always )?_\b|"
            r"\b(?:and|then) (?:then )?_ (?:it|the|a) \w+ (?:aloud )?to (?:him|her|me|us)|"
            r"\b(?:sat|came|opened|took|picked|went|got)\b.* (?:and|then) _\b",
        ),
        ("ɹˈid", ""),
    ),
    "content": (
        ("kˈɑntˌɛnt", r"\bthere(?:'s| is| was) (?:\w+ )?_"),
        (
            "kəntˈɛnt",
            r"^(?:is|are|was|were) (?:you|he|she|they|we) _(?: (?:with|to|in)\b| ?$)|"
            r"\b(?:is|are|am|was|were|be|been|being|feel|feels|felt|seem|seems|seemed|so|very|"
            r"quite|perfectly|not|more|i'm|he's|she's|they're|we're|looked|looks|look|remain|"
            r"remained|fully|completely|(?:happy|full|calm|warm|safe|rested|quiet|satisfied|"
            r"relaxed) and|grew|rest|well|to) "
            r"(?:\w+ly |never |always )?_\b(?! (?:is|creators?|was|for|on|of))|"
            r"\b_ (?:with|to) (?:his|her|their|my|life|just|simply|the way|be|sit|stay|watch|let|"
            r"what|wait)|_ (?:cats?|dog|baby|babies|m[ae]n|wom[ae]n|child|children|smiles?|sighs?|"
            r"person|people|expression|look)\b|"
            r"(?:^|[,;] )_ (?:with|in) (?:the|a|this|that)\b[^,]*,|"
            r"_ (?:my|your|him|her|our)sel(?:f|ves)\b|_ themselves\b",
        ),
        ("kˈɑntˌɛnt", ""),
    ),
    "job": (
        (
            "ʤˈOb",
            r"^_ (?:suffered|lost (?:his|every)|cried|prayed|answered|trusted)\b|"
            r"\b(?:book|patience|story|trials|sufferings?) of _ ?(?:$|[,.;:!?]|(?:is|was|in|and|"
            r"tells|"
            r"teaches)\b)",
        ),
        ("ʤˈɑb", ""),
    ),
    "putting": (
        (
            "pˈʌTɪŋ",
            r"\b_ (?:greens?|stroke|practice|game)\b|\bgolf\w*\b|"
            r"\b(?:practic\w+|chipping and|driving and|his|her|my) _ ?(?:$|[,.;!?]|(?:on|from|is|"
            r"was|"
            r"and|for) )",
        ),
        ("pˈʊTɪŋ", ""),
    ),
    "bases": (
        ("bˈAsiz", r"\b_ (?:of|for)\b|\b(?:legal|theoretical|scientific|daily|weekly) _"),
        ("bˈAsᵻz", ""),
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
            r"\b_ (?:mother|father|wife|husband|son|daughter|aunt|uncle|sister|brother)\b|"
            r"\b(?:an?|the|old|helpless|poor|bedridden|elderly) _ ?(?:$|[,.;!?]|(?:who|and|for|"
            r"since|in (?:(?:a|his|her) )?(?:bed|wheelchair)|after|all|was|"
            r"had|lay|sat)\b)",
        ),
        ("ɪnvˈælɪd", ""),
    ),
    "number": (
        (
            "nˈʌməɹ",
            r"\b(?:grew|grow|grows|felt|feel|feels|get|gets|getting|got|even|became|becoming|"
            r"much|went|going) _ ?(?:$|[,.;!?]|(?:and|than|by|with|every|as|still|after|now)\b)|"
            r"_ than\b",
        ),
        ("nˈʌmbəɹ", ""),
    ),
    "does": (
        ("dˈOz", r"\b(?:the|two|three|four|five|several|female) _ (?!not\b|n't)[a-z]"),
        (
            "dˈOz",
            r"\b(?:the|two|three|four|five|several|female|few|young|these|those|of|and|many|"
            r"some|bucks and|wild) _ ?(?:$|[,.;!?]|(?:and|were|are|in|by|at|under|feeding|grazing|"
            r"eating|lying|with|grazed|graze|ran|run|"
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
    "sewer": (
        (
            "sˈOəɹ",
            r"\b(?:skilled|good|talented|experienced|avid|expert|home) _|"
            r"_ of (?:quilts?|cloth\w*|dress\w*)\b",
        ),
        ("sˈuəɹ", ""),
    ),
    "axes": (
        (
            "ˈæksᵻz",
            r"\b(?:wood|trees?|logs?|chop\w*|swords?|battle|sharp|hatchets|throwing|lumberjacks|"
            r"firefighters|shovels|hammers|saws|ice)\b",
        ),
        ("ˈæksˌiz", ""),
    ),
    "learned": (
        (
            "lˈɜɹnəd",
            r"\b(?:a|an|the|his|her|most|very|my) _ (?:m[ae]n|wom[ae]n|scholars?|judges?|"
            r"professors?|friends?|colleagues?|societ\w+|journals?|gentlem[ae]n|counsel)\b",
        ),
        ("lˈɜɹnd", ""),
    ),
    "blessed": (
        (
            "blˈɛsəd",
            r"^_ (?:are|is|be)\b|\b(?:an?|the|this|that|every|of|these) _ (?!by|with|to|and|the|"
            r"us|me|him)\w",
        ),
        ("blˈɛst", ""),
    ),
    "aged": (
        (
            "ˈAʤəd",
            r"\b(?:an|the|his|her|my|their) _ (?:m[ae]n|wom[ae]n|parents?|mother|father)\b|"
            r"\bthe _ ?(?:[,.;]|$)",
        ),
        ("ˈAʤd", ""),
    ),
    "dogged": (
        ("dˈɔɡɪd", r"\b(?:an?|the|his|her|their|its|my|our|your|such|with|of) _ [a-z]"),
        (
            "dˈɔɡd",
            r"_ (?:by|him|her|them|us|me|it|the|his|their|our|my|every|all|this|that|many|both|"
            r"investigations|efforts|attempts)\b|\b(?:have|has|had|been) (?:\w+ly |long |also )?_\b"
            r"(?! (?:determination|persistence|pursuit|resistance))",
        ),
        ("dˈɔɡɪd", ""),
    ),
    "primer": (
        (
            "pɹˈɪməɹ",
            r"_ (?:on|in|for (?:beginners|students|readers|children|new))\b|"
            r"\b(?:short|brief|quick|useful|reading|grammar|latin|school|child's) _\b",
        ),
        ("pɹˈIməɹ", ""),
    ),
    "sake": (
        (
            "sˈɑki",
            r"_ (?:bars?|brewer\w*|bottles?|cups?|barrels?|tastings?|with|sets?|bombs?|rice)\b|"
            r"\b(?:japanese|hot|warm|warmed|chilled|cold|cool|rice|premium|unfiltered|drank|"
            r"drinks?|"
            r"drinking|sip\w*|pour\w*|brew\w*|serv\w+|order\w*|tast\w+|sushi and|beer and|beer or|"
            r"wine or|wine and|(?:bottles?|cups?|glass(?:es)?|flasks?|jugs?|shots?|sips?|carafe|"
            r"some|more|of|like|prefers?) (?:of )?)(?: the| some| more| of)* ?_\b|"
            r"^_ (?:is|was|has|can)\b|\b_ (?:and|or) (?:sushi|beer|wine|tempura)\b",
        ),
        ("sˈAk", ""),
    ),
    "upset": (
        (
            "ˈʌpsˌɛt",
            r"\b(?:big|major|huge|stunning|biggest|an) _ ?(?:[,.;!?]|$|(?:in|of|over|win)\b)",
        ),
        ("ˌʌpsˈɛt", ""),
    ),
    "moped": (("mˈOpt", r"\b_ (?:around|about|all)\b"), ("mˈOpˌɛd", "")),
    "nice": (("nˈis", rf"{_IS_PLACE}|\b_ (?:, )?france\b|\b_ carnival\b"), ("nˈIs", "")),
    "reading": (
        (
            "ɹˈɛdɪŋ",
            rf"{_IS_PLACE}|\b_ (?:, )?(?:england|berkshire|pennsylvania|festival|station)\b|"
            r"\b(?:trains?|bus|station|live[sd]?|born) (?:to|from|in|at) _",
        ),
        ("ɹˈidɪŋ", ""),
    ),
    "mobile": (("mObˈil", r"\b_ (?:, )?(?:alabama|airport|bay)\b"), ("mˈObᵊl", "")),
}
