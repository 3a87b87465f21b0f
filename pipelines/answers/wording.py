"""The English around an answer: which words lead to it, deny it, doubt it, take it back, or only remark on it.

Patterns only; each says whether it is matched at a position (behind a value) or searched for in the words before one.
"""

import re


def phrases(listed: str) -> str:
    """A group that matches any of the phrases between bars; a line break counts as one space.

    >>> phrases("is|are not")
    '(?:is|are not)'
    """
    return "(?:" + re.sub(r"\s+", " ", listed.strip()).replace(" |", "|").replace("'", "['’]") + ")"


def _pattern(*parts: str) -> re.Pattern[str]:
    return re.compile("".join(parts), re.IGNORECASE)


# Between two sentences.
SENTENCE_END = re.compile(r"(?:(?<=[.!?。])[\"')*\]]*|(?<=\\\]|\$\$))\s+(?=[A-Z\\$*(\"#>|])|(?<=[。！？])|\n+")

# Behind `is`: words that only lead to the value.
FILLER = _pattern(r"(?:[:\s\"“”]|\*(?!\*)|", phrases(r"""therefore|thus|then|hence|so|simply|just|exactly
|precisely|approximately|about|roughly|around|that|indeed|also|now|given by|equal to|equals|equivalent to|option|choice
|letter|either|both|still|clearly|definitely|certainly|probably|likely|perhaps|maybe|possibly|only|actually|obviously
|for sure|of course|without doubt|found to be|a total of|the total of|an? (?:value|amount|sum) of
|an?(?! *(?:[-+*/^=_,;.:)]|(?:and|or)\\b|$))|is|are|it|be
|the (?:number|value|integer|fraction|point|letter|pair|ordered pair|interval|set)(?! of| \w+ (?:is|are))|the"""),
                  r"\b,?)*")

# Behind `is`: the value that follows is denied. What comes after CORRECTED is stated instead.
DENIAL = _pattern(r"(?:", phrases("""definitely|certainly|clearly|surely|probably|also|therefore|obviously|simply
|actually|most|in fact"""), r"\s+)*", phrases("""not|never|neither|no longer|anything but|far from|nowhere near
|different from|other than|by no means|unlikely|impossible|wrong|incorrect|isn't|aren't|wasn't|cannot be
|can't be"""), r"\b")
CORRECTED = _pattern(r"\b", phrases("but(?: rather| instead)?|rather|instead|it is|it's|it should be"),
                     r"(?:\s+(?:it is|it's|is|just|only|rather))?\s+")

# Before a value: it is denied, supposed or doubted, or something else is compared with it.
DENIED_BEFORE = _pattern(
    phrases(r"""\bnot|n't|\bnever|\bnor|\bneither|\bcannot|\brather than|\banything but|\binstead of|\bunlike|\bexcept
|\bother than|\b(?:everything|all) but|\bby no means|\bdifferent from|\bno longer|\bfar from|\bhardly|\bbarely
|\bexclud\w+
|\bignor\w+
|\brul(?:e|es|ed|ing) out|\breject\w*|\bdiscard\w*|\beliminat\w+|\bdismiss\w*|\bdisregard\w*|\bthrow\w* (?:out|away)
|不是|≠|\\ne(?:q)?"""),
    r"\s*(?:", phrases("""have|include|possibly|simply|just|necessarily|really|quite|going to|be|been|equal to|equal
|the|an?|any|answer|number|value|solution"""), r"\s*)*"
    r"[$\\(\[\s]*$")
MAY_DENY = ("not", "n't", "n’t", "never", "nor", "neither", "rather", "anything", "instead", "unlike", "xcept",
            "other", "xclud", "ignor", "不是", "out", "reject", "discard", "eliminat",
            "dismiss", "disregard", "throw", "means", "from", "longer", "hardly", "barely", "≠", "\\ne", "but")
CONDITION = _pattern(phrases(r"""\b(?:if|whether|suppose|assum\w+|unless|(?<!no )(?<!without )doubt|unlikely|check that
|let's say|pretend
|(?:mistake|error|wrong|incorrect|false|absurd|tempting|foolish|silly) to (?:say|think|claim|conclude|assume|believe)
|(?:some|one|you|someone) (?:might|may|could|would) (?:say|think|claim|conclude|guess)
|(?:i|we) (?:(?:at )?first |initially |originally |had )*(?:thought|believed|guessed|expected|figured)
|no way|used to be|nobody|no one|no-one
|(?:wrong|incorrect|false|naive) (?:answer|solution|result|value)s?
|impossible (?:that|for)|(?:cannot|can't|can not|could not|couldn't) be (?:the case )?that
|(?:false|wrong|incorrect|untrue) that)
|\bnot (?:true|the case|sure|certain|clear|believe|think)|n't (?:think|believe|sure|clear)"""),
                     r"\b(?!.*\b(?:then|but|so)\b)[^,.!?\n]*$")
# What is not so, before `would`: if x were even, had he paid.
UNREAL = _pattern(r"(?:\bif\b[^.;]{0,60}?\b(?:were|weren['’]t|had(?:n['’]t| not)? (?:\w+ed|been|kept|paid|sold|bought"
                  r"|taken|given|gone|had|made|done|lost|won|spent|eaten))|^\W*had \w+)\b")
MAY_SUPPOSE = ("if", "whether", "suppose", "assum", "unless", "doubt", "unlikely", "check that", "let's", "let’s",
               "pretend", " to ", "might", "may", "could", "would", "no way", "used to", "no", "wrong", "correct",
               "false", "naive", "impossible", "untrue", "n't", "n’t")
OF_NUMBER = _pattern(r"\b", phrases("""roots?|powers?|digits?|divisors?|factors?|multiples?|factorial|log|logarithm
|ln|sine|cosine|tangent|half|thirds?|fourths?|quarters?|fifths?|sixths?|sevenths?|eighths?|ninths?|tenths?|percent|%
|fraction|portion|reciprocal|inverse|opposite|negation|complement|conjugate|squares?|cubes?|double|triple
|absolute value|magnitude|floor|ceiling|successor|predecessor|derivative|residue"""),
                     r" of (?:(?:the )?(?:number|integer|first) |the )?[$\\(\[\s]*$")
HEDGE = _pattern(r"\b(?:might|may|could)\s+(?:also\s+|well\s+)?be\s+$")
REASON_BEFORE = _pattern(r"\b", phrases("""since|because|, which is
|where|when|whenever|satisfying|assuming|using|given that
|(?:after|before|while|by|from) \\w+ing"""),
                         r"\b[^,;.!?\n]*$")
MAY_REASON = ("since", "because", "which is", "whe", "ing", "given that")
COMPARED = _pattern(r"\b", phrases("""than|between|exceeds?|exceeding|beyond|over|under|above|below|nearly|almost
|close to|near|bounded by|limited to|short of|shy of|hardly|barely|divisible by
|proportional to|prime to|parallel to|applied to"""),
                    r"\s*$")

# In a sentence: it says what is yet to be done or what the problem is about, so its values are no results.
_SEARCH = phrases(r"""find|determine|compute|calculate|work out|evaluate|solve|show|prove|consider|check|verify|count
|use|apply|try|analy[sz]e|examine|look|proceed|continue|distinguish|begin|start|know|figure|understand|decide|think
|set up|rewrite|express|recall|compare|pair|split|deal|handle|treat""")
_WE = r"(?:we|i|you|one)"
PLAN = _pattern(
    r"\b(?:let us|let['’]s|let me|recall|remember|(?:", phrases(r"""remains?(?: is)?|left
|(?:idea|approach|strategy|plan|method|way|trick|step|task|goal|aim) is|helps?(?: us)?|useful|helpful|asked|asks us
|in order"""), "|", _WE, r"(?: \w+)? ", phrases("need|want|have|try|would like|are going|hope|plan"),
    r") to (?:\w+ly )?", _SEARCH,
    "|", _WE, "(?: now| then| next| first| still)* (?:must|will|shall|can|could|should|may|might|would) ",
    "(?:[a-z]+ly |now |then |also |first |next )*", _SEARCH,
    "|(?:next|now),? (?:we |i )?", _SEARCH,
    "|", phrases(r"""depends? on|depending on|will be (?:useful|helpful)|helps? to organi[sz]e|asked (?:for|about)
|the (?:question|problem) (?:is|asks)"""), r")\b")

# Behind a value: it is denied.
DENIED_AFTER = _pattern(r"[$\s*]*(?:\\[)\]])?[\s*]*(?:", phrases(r"""(?:is|are|was|were)(?: not|n't)"""),
                        r"(?:\s*(?:[.,;!]|$)|\s+",
                        r"(?:(?:an?|the|our|any|in the|one of the|among the)\s+)?(?:\w+\s+)?",
                        phrases("""valid|possible|solutions?|answers?|correct|right|acceptable|allowed|true|admissible
|domain|roots?|options?|feasible|suitable"""), r"\b)|", phrases("""cannot be|can't be|could not be|couldn't be
|(?:is|are|was|were|would be) (?:(?:an?|all|both|also) )?(?:impossible|wrong|false|incorrect|invalid|extraneous
|rejected|excluded|ruled out|inadmissible|too (?:small|large|big|high|low|many|few))
|(?:do not|does not|don't|doesn't|won't|will not|cannot|can't) (?:work|satisfy|hold|fit|solve|happen)|fails?
|must be (?:rejected|discarded|excluded)|if [^.]{0,40} (?:were|had)|would (?:be|have been) [^.,;]{0,40}\\bif
|would have been|(?:is|are|was|would be) (?:the|an?) (?:naive|tempting|wrong|incorrect|mistaken)"""), r"\b)")

# Behind a stated answer: the text takes it back.
RETRACTED = _pattern(r"\b", phrases("wait|actually|hmm|oops|no|sorry|hold on|but"), r"\b[^.!?\n]{0,60}?\b",
                     phrases("that|this|it|which"), phrases("'s| is| was| isn't| must be"), r"\s+",
                     phrases("""not (?:right|correct|possible|the answer)|wrong|incorrect|impossible|a mistake
|an error"""),
                     r"|\bI (?:have )?made an? (?:\w+ )?(?:mistake|error)"
                     r"|\b(?:oops|wait|hmm)\b[^.!?\n]{0,20}?\bI mis\w+"
                     r"|\bI (?:do not|don['’]t) (?:think|believe) (?:that|this|it)(?: is|['’]s) (?:right|correct)"
                     r"|\b(?:but|wait|hmm|oops|actually|no),?\s+(?:that|this|it) "
                     r"(?:(?:seems|looks|sounds) (?:wrong|off|incorrect)|contradicts|can['’]t be it\b)|\b",
                     phrases("""(?:that|this|which) (?:is|was) (?:wrong|incorrect|impossible|absurd|a contradiction
|not (?:right|correct|possible|the answer))|(?:that|this|it) (?:(?:cannot|can't|can not|couldn't) be
|(?:doesn't|does not) (?:seem|look|sound)) (?:right|correct)"""),
                     r"\b(?!-)")
OF_OTHERS = _pattern(r"\b", phrases("""(?:common|usual|typical|frequent) (?:mistake|error|answer)
|(?:many|some|most) (?:students|people)|students (?:often|may|might|sometimes)
|one (?:might|may|could) think|(?:must|can|we) (?:discard|reject|exclude)|rejected|discarded|extraneous
|if i (?:have )?made"""), r"\b"
                     r"|\b(?:for|if) [$\\(]*[a-z](?![a-z])[$ ]*(?:=|>|<|≥|≤|\\[gl]e)[^.!?\n]*\b(?:would|then)\b")
OWN_TURN = _pattern(r"\b", phrases("wait|hmm|oops|actually|but|sorry|hold on|i mis\\w+"), r"\b")
MAY_RETRACT = ("wrong", "ncorrect", "mistake", "error", "right", "correct", "possible", "not the answer", "I mis",
               "contradict", "be it", " off")

# Behind a stated answer: a sentence that names it once more as a decimal; one that says it is plausible.
DECIMAL = _pattern(r"\b", phrases("(?:as|in) (?:a )?decimals?(?: form)?|approximate\\w*|numerical\\w*|about|roughly"),
                   r"\b|≈|\\approx")
EXACT = _pattern(r"\\(?:sqrt|pi|frac|ln|log|exp)|[√π]|\d/\d|e\^|\bln\b")
PLAUSIBLE = _pattern(r"\W*", phrases("""less than|more than|greater than|smaller than|between|about|around"""),
                     r"\b[^.!?\n]*\b", phrases("reasonable|plausible|sense|estimated|expected"), r"\b")

# Behind a stated answer: a sentence turns round, and the text ends in another value, `But wait. ..., so 35.`
TURN = _pattern(r"(?:^|[.!?\n])[\s\"')*#_]*(?:(?:but|oh|ah|uh|um),?\s+)?",
                phrases("""wait|hold on|oops|hmm+|actually|no(?=[,:])|sorry|edit|update|corrections?|corrected
|scratch that|on second thought|my mistake|apologies
|(?:(?:i'm|i was) )?(?:(?:just|only) )?(?:kidding|joking)|psych|jk"""),
                r"\b|\b(?:after|on|upon) (?:re-?\w+ing|closer inspection|reflection|checking again|double-checking)\b"
                r"|\bthe ", phrases("correct|corrected|right|actual|true|real|revised|updated"),
                r" (?:value|total|result|number|count|sum|amount|figure)\b")
MAY_TURN = ("wait", "hold on", "oops", "hmm", "no,", "no:", "sorry", "edit", "update", "correct", "scratch",
            "kidding", "joking", "psych", "jk", "second thought", "my mistake", "apologies", "right",
            "actual", "true", "real", "revised",
            "inspection", "reflection", "checking", " re")
# In the sentence of a stated answer: the next word takes it back, `18, no wait, 16`.
INTERRUPTED = _pattern(r"[,.–—-]+\s*(?:", phrases("no|wait|sorry|oops|i mean|actually|or rather|make that|correction"),
                       r"[,:]?\s+)+", r"(?:it['’]?s |it is |make that )?\\?\$?(-?\d[\d,]*(?:\.\d+)?)")
# In the sentence of a stated answer: it goes on to another value, `18 per day for 5 days, giving 90`, `18 → 16`.
CONTINUED = _pattern(r"^[^.!?\n]{0,100}?(?:→|⇒|[-=]+>|\((?:wrong|incorrect|no)!?\)|,\s*",
                     phrases("giving|making|yielding|totalling|totaling|for a total of|which gives|which makes"),
                     r"|,\s*(?:minus|plus|less|times)\b[^.!?\n]{0,60}?\bso\b)",
                     r"[\s:$*]*(?:an?\s|the\s|total\s|of\s|it\s|is\s)*\\?\$?(-?\d[\d,]*(?:\.\d+)?)",
                     r"[^\d.!?\n]{0,25}[.!]?\s*$")
BUT = _pattern(r"^[^!?\n]*?\b(?:but|however|although|though|yet)\b")
TURNED_TO = _pattern(r"\b(?:so|thus|hence|therefore|instead|sorry|edit|it['’]s|that['’]s"
                     r"|(?:asks?|asked|wants?|wanted|question)\b[^.!?\n]{0,60}?\b(?:which|there) (?:is|are)"
                     r"|(?<=kidding): |(?<=joking): "
                     r"|(?:must|should|has to|turns out to) be|should have been|is actually"
                     r"|(?:i|we) (?:\w+ly |now )?(?:get|have|find)"
                     r"|(?:it|this|that|one|answer|value|total|result|number|count|sum|amount|actually) is)\b",
                     r"(?:[\s,:$*]|\b",
                     phrases("""it|that|this|the|correct|right|final|real|actual|answer|result|total|is|are|be|must
|should|would|actually|really|instead|rather|we|get|have|has|she|he|they"""),
                     r"\b)*(?:[a-z]\s*=\s*)?(?:[\d.,$]+(?:\s*[-+*/×x]\s*[\d.,$]+)+\s*=\s*)?"
                     r"\\?(-?\d[\d,]*(?:\.\d+)?)(?:[^\w.!?\n]*\w+)?"
                     r"(?:,?\s+(?:i|we|since|because|as)\s[^\d.!?\n]*)?[^\w.!?\n]*[.!]?\s*$")

# Behind a stated answer: it is taken back, and whatever number closes the text is another answer.
TAKEN_BACK = _pattern(r"\b", phrases("""wait|scratch that|my mistake|(?:that's|that is|this is) (?:wrong|not right)
|i (?:forgot|missed|overlooked|miscounted|made an? (?:mistake|error))|we (?:forgot|missed|overlooked)|oops
|on second thought|let me (?:redo|recompute|recount|think again)"""),
                      r"\b|等等|不对")
ASKED = _pattern(r"\b(?:problem|question) (?:asks?|wants?)\b[^.!?\n]{0,80}\b(?:which|this|that|it) (?:is|equals)\b",
                 r"[^.!?\n]*[.!]?\s*$")
CONFIRMED = _pattern(r"\b", phrases("""correct|right|matches|checks? out|good|yes|verified|consistent|confirms?|agrees?
|as expected|works|holds|satisf\\w+"""), r"\b|✓|✔")
CLAIMED = _pattern(r"(?!.*\b(?:if|would|instead of|check|verif\w+)\b)\W*(?:so|thus|hence|therefore|it should be"
                   r"|there (?:are|is)|(?:he|she|they|it|we|the ", phrases("""correct|right|actual|final|total|answer
|result"""), r"\b[^.]*?)\b[^.]*)\b")
CONCLUDING = _pattern(r"\W*(?:so|thus|hence|therefore)\b")
CLOSES = ("ait", "think again", "cratch", "istake", "wrong", "forgot", "missed", "overlooked", "miscount", "ops",
          "orrection", "review", "second thought", "Let me re", "let me re", "not right", "error", "asks",
          "wants", "等等", "不对")

# A clause that says something of the answer, not the answer; a sentence that closes a text; a reason behind an answer.
REMARK = _pattern(phrases("""correct|right|wrong|reasonable|valid|clear|consistent|as follows|below|above|shown|given
|found|provided|available|included|omitted|missing|in|positive|negative|independent|unique|simplified|rounded|obvious
|verified|expressed|unclear"""), r"\b")
CLOSING = _pattern(r"(?:i |we )?", phrases("""hope|let me know|if you|please|note that|feel free|thank|this completes
|happy to|good luck|q\\.?e\\.?d"""), r"|.*\?[\"')*]*\s*$")
REASON = _pattern(r"\s(?:because|since|so|which|as|where|I hope|for|when|if)\b|<")

# Before a value: it is what the sentence arrives at; it only tells when, where or how long; it numbers something.
LEADS = _pattern(r"(?:\b(?:a total of|ha[sd] an? (?:\w+ ){1,2}of|is|are|was|were|be|equals?|becomes?|remains?|totals"
                 r"|it['’]s|that['’]s|(?:simplifies|reduces|comes|amounts|equal) to)\b"
                 r"|[=:≈]|[-=]>|→|\\(?:Right|right)arrow|\\implies|(?<=[^\x00-\x7f]))\s*$")
CIRCUMSTANCE = _pattern(r"\b(?:in|for|over|within|every|during|after|at|of|from|with|by|on|to|only|all|the)\s+"
                        r"(?:(?:the|those|these|all|her|his|its|their|an?|first|last|next|remaining"
                        r"|original|initial)\s+)*$")
PURPOSE = _pattern(r"\d[^.!?,]*\bin order to \w+ \\?\$?$|\b(?:takes?|took|needs?|costs?)\b[^,.!?\d]{0,30}\d[\d.]*"
                   r"(?: (?!so|and|has|have|needs?\b)\w+){0,2} to (?!get|obtain|give|make|have|leave|be\b)\w+ \\?\$?$")
LABEL = _pattern(r"\b", phrases("""step|case|part|problem|question|figure|equation|eq|example|method|section|theorem
|lemma|page|year|line|day|week|round|version|formula|property|rule|table|mod|modulo|base"""), r"\.?\s*\(?$")
ORDINAL = re.compile(r"(?:st|nd|rd|th)\b|-[a-z]|\.\s+[A-Z]")
