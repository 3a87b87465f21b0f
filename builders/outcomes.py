"""Words that several floors read: which verdicts count as failures, and what people write where there is no answer.

A module of its own, because the workers that compare answers import it and start in milliseconds.
"""

import re

# Reasons of undecided verdicts that count as failures: the solution does not answer, whatever the tools can do.
UNANSWERED = ("no_answer", "guessed", "truncated")

# What people write where there is no answer. `none` and `no solution` may be answers and are none of these; Python
# writes None.
NO_GOLD = re.compile(r"(?i:proof|proved|not[ _-]?found|n/a|nan|null|unknown|unanswerable|missing|tbd|todo|\?+|-+"
                     r"|incomplete|nat|\[object object\]|#(?:ref|div/0|name|value|num|null|n/a)[!?]?)"
                     r"|None")
