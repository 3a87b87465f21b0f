"""Times of day: `3:30 p.m.`, `15:30`, `noon`, `8 in the morning`, `7 o'clock`.

A canonical string goes in; minutes since midnight as written and the half of the day come out, None for other texts.
"""

import re

MINUTES = 60       # of an hour
_MAYBE = re.compile(r":|noon|night|o'clock|morning|evening|m\.?\}?$", re.IGNORECASE).search
_HALF = r"([ap]\.? ?m\.?|(?:in the )?(?:morning|afternoon|evening)|(?:at )?night|noon|midnight)"
_CLOCK = re.compile(r"(?:(\d{1,2})(?::(\d\d)(?::00)?)?)?\s*(?:\\text\{)?\s*(?:o'clock)?\s*(?:\\text\{)?\s*"
                    + _HALF + r"?\}?", re.IGNORECASE).fullmatch


def time_of_day(text: str) -> tuple[int, str] | None:
    """(minutes, `am` or `pm` or nothing): (210, "pm") for `3:30 p.m.`, (720, "pm") for `noon`."""
    match = _CLOCK(text) if _MAYBE(text) else None
    if match is None:
        return None
    half = (match[3] or "").casefold()
    middle = half in ("noon", "midnight")
    if not (match[2] or half or "o'clock" in text) or not (match[1] or middle):
        return None
    hours, minutes = int(match[1] or 12), int(match[2] or 0)
    if minutes >= MINUTES or hours > (12 if half else 24) or middle and (hours, minutes) != (12, 0):
        return None
    after_midnight = "night" in half and (hours == 12 or hours < 6)       # 2 at night; noon is no night
    before_noon = half == "midnight" or after_midnight or "morning" in half or re.match(r"a[. m]", half) is not None
    return hours * MINUTES + minutes, "" if not half else "am" if before_noon else "pm"
