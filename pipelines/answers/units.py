"""Units and the words beside a number: `cm^2`, `miles per hour`, `eggs a day`, `% increase`, `north`, `p.m.`.

The words go in, a `Unit` comes out: what it measures, how many base units one of it has, the nouns that are not known
units, and the direction. `conflict` says whether two units that both sides name make two answers different; what only
one side names makes no difference.
"""

import re
from fractions import Fraction
from functools import lru_cache
from typing import NamedTuple


class Unit(NamedTuple):
    """dimension: base units with their powers, sorted (`(("second", -1), ("mm", 1))`), empty where nothing is known.

    factor: base units in one of it. per: the second half of a rate (`day` in `eggs per day`), None for none.
    nouns: stems of the other words. marks: one side of an opposition each (`("increase", 0)`).
    """

    dimension: tuple[tuple[str, int], ...] = ()
    factor: Fraction = Fraction(1)
    per: str | None = None
    nouns: frozenset[str] = frozenset()
    marks: frozenset[tuple[str, int]] = frozenset()


NONE = Unit()
_UNITS: dict[str, tuple[tuple[tuple[str, int], ...], Fraction]] = {}
_AMOUNTS: dict[str, list[str]] = {
    "mm": ["1 mm millimeter millimetre", "10 cm centimeter centimetre", "100 dm decimeter", "1000 m meter metre",
           "1000000 km kilometer kilometre", "25.4 in inch inche", "304.8 ft foot feet", "914.4 yd yard",
           "1609344 mi mile", "1/1000 micrometer micron", "1/1000000 nm nanometer", "1852000 nmi"],
    "mg": ["1 mg milligram", "1000 g gram gm", "1000000 kg kilogram kilo", "1000000000 tonne megagram",
           "28349.523125 oz ounce", "453592.37 lb pound", "907184740 ton"],
    "second": ["1 s sec second", "1/1000 ms millisecond", "60 min minute", "3600 h hr hour", "86400 day",
               "604800 wk week", "1209600 fortnight"],
    "month": ["1 month mo", "12 year yr", "120 decade", "1200 century centurie"],
    "cent": ["1 cent", "100 dollar usd buck", "5 nickel", "10 dime"],
    "euro": ["1 euro eur €", "1/100 eurocent"], "pound sterling": ["1 £ gbp sterling", "1/100 pence penny"],
    "yen": ["1 yen ¥ jpy"], "rupee": ["1 rupee rs ₹ inr", "1/100 paise paisa"], "peso": ["1 peso"],
    "franc": ["1 franc"],
    "degree": ["1 degree deg ° º", "1/60 arcminute", "1/3600 arcsecond"], "radian": ["1 radian rad"],
    "revolution": ["1 revolution rev rpm"], "celsius": ["1 celsius °c"], "fahrenheit": ["1 fahrenheit °f"],
    "kelvin": ["1 kelvin"], "joule": ["1 j joule", "1000 kj kilojoule", "4.184 cal", "4184 kcal", "3600 wh",
              "3600000 kwh"],
    "watt": ["1 w watt", "1/1000 milliwatt", "1000 kw kilowatt", "1000000 megawatt"],
    "newton": ["1 newton"], "volt": ["1 volt"], "ampere": ["1 amp ampere"], "coulomb": ["1 coulomb"],
    "farad": ["1 farad"], "tesla": ["1 tesla"], "henry": ["1 henry"], "electronvolt": ["1 ev electronvolt"],
    "ohm": ["1 ohm"], "decibel": ["1 db decibel"], "hertz": ["1 hz hertz", "1000 khz", "1000000 mhz"],
    "pascal": ["1 pa pascal", "1000 kpa", "101325 atm atmosphere", "20265/152 mmhg torr"],
    "mole": ["1 mol mole"], "bit": ["1 bit", "8 byte"], "acre": ["1 acre"], "hectare": ["1 hectare ha"],
}
_VOLUMES = ("1000 ml milliliter millilitre", "10000 cl centiliter", "1000000 l liter litre", "1000 cc",
            "3785411.784 gal gallon", "946352.946 qt quart", "473176.473 pt pint", "236588.2365 cup",
            "14786.76478125 tbsp tablespoon", "4928.92159375 tsp teaspoon")
for _base, _lines in _AMOUNTS.items():
    for _line in _lines:
        for _name in _line.split()[1:]:
            _UNITS[_name] = ((_base, 1),), Fraction(_line.split()[0])
# What joules, watts and others are in base units, and how many of these one of them has.
_DERIVED: dict[str, tuple[dict[str, int], int | Fraction]] = {
            "newton": ({"mg": 1, "mm": 1, "second": -2}, 10**9), "joule": ({"mg": 1, "mm": 2, "second": -2}, 10**12),
            "watt": ({"mg": 1, "mm": 2, "second": -3}, 10**12), "hertz": ({"second": -1}, 1),
            "pascal": ({"mg": 1, "mm": -1, "second": -2}, 1000), "coulomb": ({"ampere": 1, "second": 1}, 1),
            "volt": ({"mg": 1, "mm": 2, "second": -3, "ampere": -1}, 10**12),
            "ohm": ({"mg": 1, "mm": 2, "second": -3, "ampere": -2}, 10**12),
            "electronvolt": ({"mg": 1, "mm": 2, "second": -2}, Fraction("1.602176634e-7"))}
for _name, (((_base, _),), _factor) in list(_UNITS.items()):
    if _base in _DERIVED:
        _UNITS[_name] = tuple(sorted(_DERIVED[_base][0].items())), _factor * _DERIVED[_base][1]
for _line in _VOLUMES:
    for _name in _line.split()[1:]:
        _UNITS[_name] = (("mm", 3),), Fraction(_line.split()[0])
_SCALES: dict[tuple[tuple[str, int], ...], tuple[int, ...]] = {
    (("cent", 1),): (1, 100), (("second", 1),): (1, 60, 3600, 86400, 604800), (("month", 1),): (1, 12)}
_RATES = {"mph": "mile/hour", "kmh": "km/hour", "kph": "km/hour", "kmph": "km/hour", "mps": "m/second",
          "fps": "feet/second"}

_OPPOSITES = [("increase increased increasing rise more gain gained profit up upward upwards growth higher above",
               "decrease decreased decreasing fall less fewer lost loss down downward downwards decline reduction "
               "lower below"),
              ("north", "south", "east", "west", "northeast", "northwest", "southeast", "southwest"),
              ("left", "right"), ("clockwise", "counterclockwise counter-clockwise anticlockwise"),
              ("bc bce", "ad ce"), ("before", "after"), ("odd", "even"), ("heads", "tails"), ("faster", "slower"),
              ("taller longer", "shorter"), ("warmer hotter", "colder cooler"), ("heavier", "lighter"),
              ("wider", "narrower"), ("ahead", "behind"), ("earlier", "later"), ("uphill", "downhill"),
              ("upstream", "downstream"), ("surplus", "deficit shortage"), ("deposit", "withdrawal"),
              ("forward forwards", "backward backwards"), ("early", "late"), ("older", "younger"),
              ("win wins", "losses defeats"), ("inside", "outside"), ("positive", "negative"), ("am", "pm"),
              ("absorbed", "released delivered supplied emitted"), ("heated", "cooled"), ("added", "removed"),
              ("attractive", "repulsive"), ("discount", "markup"), ("removable", "essential"),
              ("ago", "now hence"), ("first", "second", "third", "fourth")]
_MARKS = {word: (sides[0].split()[0], at) for sides in _OPPOSITES for at, side in enumerate(sides)
          for word in side.split() if word not in _UNITS}
_EMPTY = frozenset("""a an the of in total altogether all each about approximately exactly only unit units square sq
    piece pieces item items thing things object objects way ways time times value values people person persons possible
    different distinct solution solutions number numbers point points is are to by for them these those such
    possibilities answer about around roughly nearly from on at s there worth""".split())
_POWERS = {"square": 2, "sq": 2, "cubic": 3, "cu": 3, "squared": 2, "cubed": 3}
_NOT_UNITS = frozenset("""and or if than not but mod over plus minus factorial choose pi sqrt root sin cos tan cot
    csc log ln exp lim inf infinity infty theta alpha beta phi half halves third thirds quarter quarters between
    through no never impossible least most under except nor cannot
    fails fail works excluded discarded ignored
    wrong incorrect false rejected invalid extraneous isn't aren't base""".split())
_WORD = re.compile(r"[A-Za-zμ°º€£¥₹$']+(?:-[A-Za-z]+)*\.?(?:\s*\^\s*\{?(-?\d)\}?|(?<=[a-z])(\d)(?![\d]))?|/|\*|[^\s]")
_PER_SECOND = re.compile(r"(?<![A-Za-z])ms\s*\^\s*\{?-([12])\}?")             # no inverse milliseconds
_BRACKETED = re.compile(r"/\s*\([A-Za-z\s·^\d{}\\-]{1,40}\)")           # J/(kg·K)
_TIMES = re.compile(r"(?<=[A-Za-z}\d])\s*(?:·|\\cdot(?![a-zA-Z]))\s*(?=[A-Za-z])")
_SYMBOLS = re.compile(r"(?<![A-Za-z])[A-Za-z]-|-[A-Za-z](?![A-Za-z])").search      # 4x-y
_PLAIN_WORD = re.compile(r"(?<![\\a-z])[a-z]+(?:-[a-z]+)*")
_TEMPERATURE = re.compile(r"(?:degrees?|°)\s+(?=celsius|fahrenheit|kelvin|[CF]\b)", re.IGNORECASE)
_ALPHABET = "abcdefghijklmnopqrstuvwxyz"
_VOWEL = re.compile("[aeiou]", re.IGNORECASE).search
_SHORT = frozenset(("am", "pm", "bc", "bce", "ad", "ce", "sq", "cu", "mph", "kph", "kmh", "fps", "mps", "kmph"))
_CAPITALS = {"L": "l", "mL": "ml", "C": "°c", "F": "°f", "J": "j", "W": "w", "V": "volt", "N": "newton", "A": "ampere",
             "Hz": "hz", "Pa": "pa", "K": "kelvin", "kW": "kw", "kJ": "kj", "Mg": "megagram", "mW": "milliwatt",
             "MW": "megawatt", "T": "tesla"}
# Symbols of units that take a prefix: their case tells mW from MW, so they are read as they are written.
_SYMBOLS_OF = {"m": "m", "s": "s", "g": "g", "A": "ampere", "V": "volt", "W": "watt", "N": "newton", "J": "joule",
               "Hz": "hz", "Pa": "pa", "C": "coulomb", "F": "farad", "T": "tesla", "H": "henry", "ohm": "ohm",
               "eV": "ev", "mol": "mol", "L": "l", "K": "kelvin"}
_PREFIXES = {"p": Fraction(1, 10**12), "n": Fraction(1, 10**9), "μ": Fraction(1, 10**6), "u": Fraction(1, 10**6),
             "m": Fraction(1, 1000), "k": Fraction(1000), "M": Fraction(10**6), "G": Fraction(10**9),
             "T": Fraction(10**12)}
_NO_PREFIX = frozenset(("pm", "mm", "ms", "mg", "us", "pt", "Mg", "ML"))
_DATA = re.compile(r"[kMGTmgt][bB](?:ps)?").fullmatch        # Mb is no MB


@lru_cache(maxsize=4096)
def unit_of(text: str) -> Unit | None:
    """The unit that words state, None where they are no unit (`mod 3`, `is not possible`, `or more`)."""
    text = _TEMPERATURE.sub("", text.replace("a.m.", "am").replace("p.m.", "pm"))
    text = _PER_SECOND.sub(lambda power: "m/s" + ("^2" if power[1] == "2" else ""), text)
    text = _TIMES.sub(" ", _BRACKETED.sub(lambda m: m[0].replace("(", "").replace(")", ""), text))
    words = [(match[0], match[1] or match[2]) for match in _WORD.finditer(text)]
    if len(words) > 12:
        return None
    dimension: dict[str, int] = {}
    factor, sign, power, per = Fraction(1), 1, 1, []
    nouns: list[str] = []
    marks: list[tuple[str, int]] = []
    for at, (word, exponent) in enumerate(words):
        name = re.sub(r"\s*\^.*", "", word).rstrip(".")
        name = re.sub(r"(?<=[a-z])\d$", "", name)
        lower = name.casefold()
        if lower in _NOT_UNITS or not name.strip("'"):
            return None
        if word in ("/", "per") or (lower in ("a", "an", "each", "every") and at and at + 1 < len(words)
                                    and _known(words[at + 1][0]) and sign == 1 and words[at + 1][0] != "half"):
            sign, power = -1, 1
        elif lower in _POWERS and lower in ("squared", "cubed") and dimension:
            last = next(reversed(dimension))
            extra = _POWERS[lower] - 1
            factor *= _UNITS[_stem(words[at - 1][0])][1] ** extra
            dimension[last] *= 1 + extra
        elif lower in _POWERS:
            power = _POWERS[lower]
        elif lower in _MARKS:
            marks.append(_MARKS[lower])
        elif lower in _RATES:
            inner = unit_of(_RATES[lower])
            assert inner is not None
            dimension.update(inner.dimension)
            factor, per = factor * inner.factor, [inner.per or ""]
        elif known := _known(name):
            size = sign * (int(exponent) if exponent else power)
            for base, count in known[0]:
                dimension[base] = dimension.get(base, 0) + count * size
            factor *= known[1] ** size
            per += [_stem(name)] if sign < 0 else []
            power = 1
        elif not re.fullmatch(r"[A-Za-z'-]+", name) or len(name) == 1 and name not in "aA":
            return None
        elif lower not in _EMPTY:
            (per if sign < 0 else nouns).append(name if _DATA(name) and not (name.islower() or name.isupper())
                                                else _stem(name))
    return Unit(tuple(sorted((base, count) for base, count in dimension.items() if count)), factor,
                " ".join(per) or None, frozenset(nouns), frozenset(marks))


def _known(word: str) -> tuple[tuple[tuple[str, int], ...], Fraction] | None:
    word = word.rstrip(".")
    if len(word) > 1 and word[0] in _PREFIXES and (name := _SYMBOLS_OF.get(word[1:])) and word not in _NO_PREFIX:
        dimension, factor = _UNITS[name]
        return dimension, factor * _PREFIXES[word[0]]
    return _UNITS.get(_CAPITALS.get(word, "")) or _UNITS.get(_stem(word)) if word else None


def scales(unit: Unit) -> tuple[int, ...]:
    """The factors of the units of money or time that a bare number may have beside this unit."""
    return _SCALES.get(unit.dimension, ())


def is_unit(word: str) -> bool:
    """Whether a word or a letter is a known unit."""
    return _known(word) is not None


def _stem(word: str) -> str:
    word = word.casefold().rstrip(".")
    if word in _UNITS or len(word) < 3 or word.endswith("ss"):
        return word
    return word.removesuffix("s") if not word.endswith("ies") else word[:-3] + "y"


def opposed(gold: str, said: str) -> bool:
    """Whether words say the opposite of a reference: `12 m above` where 12 m below is said."""
    first, second = ({_MARKS[word] for word in _PLAIN_WORD.findall(text.casefold()) if word in _MARKS}
                     for text in (gold, said))
    return any(mark == other and side != that for mark, side in first for other, that in second) and not first & second


def plain_unit(text: str, spaced: bool) -> Unit | None:
    """The unit in words without a `\\text{}` around them: `5 m`, `5cm`, `5 eggs`; None for `5x`, `5 mod 3`, `5i`."""
    first = re.split(r"[\s/^*.]", text.strip(), maxsplit=1)[0]
    body = re.sub(r"\d$", "", first)
    if _SYMBOLS(text) or _is_product(body):
        return None
    if not spaced and (not _known(body) or body in ("mW", "MW")) and len(body) < 5 and body.casefold() not in _SHORT:
        return None
    if len(body) == 1 and not (spaced and _known(body)):
        return None
    if len(body) < 4 and not (_known(body) or spaced and _DATA(body) or _VOWEL(body) and len(body) > 2
                              or body.casefold() in _SHORT):
        return None
    return unit_of(text)


def _is_product(word: str) -> bool:
    """Whether letters are symbols, as in `3 abc` and `2 xyz`, not a word."""
    return len(word) > 2 and (word in _ALPHABET or set(word) <= set("abcxyz"))


def conflict(first: Unit, second: Unit) -> bool:
    """Whether two units make equal numbers different answers: another dimension, direction, rate or noun."""
    if any(mark == other and side != that for mark, side in first.marks for other, that in second.marks):
        return True
    if {"maximum", "minimum"} <= (first.nouns ^ second.nouns):
        return True
    same_nouns = not (first.nouns and second.nouns) or bool(first.nouns & second.nouns)
    if first.per and second.per and first.per != second.per and all(power > 0 for _, power in first.dimension):
        return True
    if first.dimension and second.dimension:
        if first.dimension != second.dimension:
            return not (_rate_left_out(first, second) or _same_word(first, second))
        return not same_nouns and all(power < 0 for _, power in first.dimension)
    known, bare = (first, second) if first.dimension else (second, first)
    return bool(known.dimension and bare.nouns and not known.nouns) or not same_nouns


def _same_word(first: Unit, second: Unit) -> bool:
    """Units that share a word: `pounds` of weight and money, `degrees` of angles and of temperature."""
    kinds = {first.dimension, second.dimension}
    if (("degree", 1),) in kinds:
        return bool(kinds & {(("celsius", 1),), (("fahrenheit", 1),)})
    return (("pound sterling", 1),) in kinds and _UNITS["pound"] in ((first.dimension, first.factor),
                                                                     (second.dimension, second.factor))


def _rate_left_out(first: Unit, second: Unit) -> bool:
    """`dollars` and `dollars per day`: money may leave its rate out, a length may not (`km` is not `km/h`)."""
    shorter, longer = (first, second) if second.per else (second, first)
    money = {"cent", "euro", "pound sterling", "yen", "rupee", "peso", "franc"}
    return not shorter.per and bool(longer.per) and bool({base for base, _ in shorter.dimension} & money) \
        and set(shorter.dimension) <= set(longer.dimension)
