"""Numbers in the words of other languages: `十二`, `三分之一`, `百分之五十`, and `fünf`, `cinco`, `sept` up to 20.

A text goes in; the same number in digits comes out, with the counted things that follow it. Only a whole text or the
head of an answer in that language is read, since many of these words mean something else in English.
"""

import re
from fractions import Fraction

_DIGITS = {digit: value for digit, value in zip("零〇一壹二两兩三四五六七八九", (0, 0, 1, 1, 2, 2, *range(2, 10)),
                                                strict=True)}
_PLACES = {"十": 10, "百": 100, "千": 1000}
_LARGE = {"万": 10**4, "萬": 10**4, "亿": 10**8, "億": 10**8}
_HAN = "".join((*_DIGITS, *_PLACES, *_LARGE))
_WHOLE = rf"[{_HAN}]{{1,20}}"
_COUNTED = "[个個只元块塊米人天岁歲件条條张張名颗顆次年月日分种種本]"
_NUMBER = re.compile(rf"([负負]?)(?:({_WHOLE})分之)?({_WHOLE})(?:[点點]([{''.join(_DIGITS)}]{{1,12}}))?")
_ENDS = re.compile(rf"(?={_COUNTED}?(?:[\s.,;:!。，；！]|$)|{_COUNTED})")
_PIECES = re.compile(r"(?<=[\d%])[个個只件条條张張名颗顆]?$")
_WORDS = {"Antwort": "null eins zwei drei vier fünf sechs sieben acht neun zehn elf zwölf dreizehn vierzehn fünfzehn "
                     "sechzehn siebzehn achtzehn neunzehn zwanzig",
          "Respuesta": "cero uno dos tres cuatro cinco seis siete ocho nueve diez once doce trece catorce quince "
                       "dieciséis diecisiete dieciocho diecinueve veinte",
          "Réponse": "zéro un deux trois quatre cinq six sept huit neuf dix onze douze treize quatorze quinze seize "
                     "dix-sept dix-huit dix-neuf vingt",
          "Risposta": "zero uno due tre quattro cinque sei sette otto nove dieci undici dodici tredici quattordici "
                      "quindici sedici diciassette diciotto diciannove venti",
          "Resposta": "zero um dois três quatro cinco seis sete oito nove dez onze doze treze quatorze quinze "
                      "dezesseis dezessete dezoito dezenove vinte"}
_BY_HEAD = {head.casefold(): {word: value for value, word in enumerate(words.split())}
            for head, words in _WORDS.items()} | {"reponse": {}}
_BY_HEAD["reponse"] = _BY_HEAD["réponse"]
_WORD = re.compile(r"[\s*_:]*([^\W\d_]+(?:-[^\W\d_]+)?)(?![\w-])")


_MAGNITUDES = {"万": 10**4, "萬": 10**4, "만": 10**4, "亿": 10**8, "億": 10**8, "억": 10**8, "千": 1000, "천": 1000,
               "тыс": 1000, "млн": 10**6, "миллион": 10**6, "млрд": 10**9, "миллиард": 10**9,
               "millón": 10**6, "milhão": 10**6, "milhões": 10**6}
_GROUPED = re.compile(r"\d{1,3}(?:,\d{3})+").fullmatch
_HAN_PLACE = r"[万萬만亿億억천]|千(?![克米瓦升卡])"
_WITH_MAGNITUDE = re.compile(r"(?<![\d.,])(?:\d{1,3}(?:,\d{3})+|\d+(?:[.,]\d{1,4})?)\s*"
                             rf"(?:(?:{_HAN_PLACE})(?:\s*\d+(?:{_HAN_PLACE})?)*(?![一二三四五六七八九十百千万亿])"
                             r"|(?:тыс|млн|миллион|млрд|миллиард|millón|milhão|milhões)(?![a-z])[а-я]*\.?)")
_PLACED = re.compile(rf"(\d[\d.,]*)\s*({_HAN_PLACE}|[а-яa-zóãõ]{{3,8}})?")


_UNITS = {"平方千米": "km^2", "平方公里": "km^2", "平方分米": "dm^2", "平方厘米": "cm^2", "平方毫米": "mm^2",
          "平方米": "m^2", "立方分米": "dm^3", "立方厘米": "cm^3", "立方米": "m^3",
          "千米": "km", "公里": "km", "分米": "dm", "厘米": "cm", "毫米": "mm", "千克": "kg", "公斤": "kg",
          "毫克": "mg", "毫升": "ml", "小时": "hours", "分钟": "minutes", "个月": "months", "米": "m", "克": "g",
          "吨": "tonnes", "升": "liters", "秒": "seconds", "天": "days", "周": "weeks", "年": "years"}
_COUNTER = re.compile(r"(?<=[\d}$])\s*[元人个個只隻棵岁歲件条條张張名颗顆块塊次本页辆支位组头瓶盒包朵箱袋双"
                      r"间层台排道题步份套根片株匹架座家户种对圈场轮枚](?=[\s.。,，$]*$)")
_WITH_UNIT = re.compile(rf"(?<=[\d}}$])\s*({'|'.join(_UNITS)})(?:/({'|'.join(_UNITS)}))?(?=[\s.。,，$]*$)")


def with_units(text: str) -> str:
    """`120千米` and `60千米/小时` at the end of a text with the unit in English, `36元` and `36个` without."""
    text = _COUNTER.sub("", text)
    return _WITH_UNIT.sub(lambda unit: f" {_UNITS[unit[1]]}" + (f"/{_UNITS[unit[2]]}" if unit[2] else ""), text)


def with_magnitudes(text: str) -> str:
    """`3万个` and `1,5 млн` with the number that they mean: `30000个`, `1500000`."""
    return _WITH_MAGNITUDE.sub(_multiplied, text)


def _multiplied(match: re.Match[str]) -> str:
    total = Fraction(0)
    for written, place in _PLACED.findall(match[0]):
        known = next((name for name in _MAGNITUDES if place.startswith(name)), "")
        total += Fraction(written.replace(",", "" if _GROUPED(written) else ".")) * _MAGNITUDES.get(known, 1)
    return str(total.numerator) if total.denominator == 1 else match[0]


def han_digits(text: str) -> str:
    """A text that begins with a Chinese number, in digits; as it is where it holds none or more follows."""
    number = _NUMBER.match(text)
    if number is None or not _ENDS.match(text, number.end()):
        return text
    sign, parts, whole, places = number.groups()
    value = _read(whole)
    total = _read(parts) if parts and parts != "百" else None
    if value is None or parts and parts != "百" and not total:
        return text
    written = f"{'-' if sign else ''}{value}"
    if places:
        written += "." + "".join(str(_DIGITS[digit]) for digit in places)
    share = "" if not parts else r"\%" if parts == "百" else f"/{total}"
    return f"{written}{share}{text[number.end():]}"


def _read(text: str) -> int | None:
    """The value of a whole number, None where its characters are in no order: `十二`, `一百零五`, `二〇二三`."""
    if len(text) > 1 and all(character in _DIGITS for character in text):
        return int("".join(str(_DIGITS[character]) for character in text))
    if len(text) > 1 and text[-1] in _DIGITS and text[-2] in "百千万萬亿億":
        return None                                            # 两百五 is 250 to many
    total = group = digit = 0
    given = False
    for character in text:
        if character in _DIGITS:
            if digit:
                return None
            digit, given = _DIGITS[character], True
        elif character in _PLACES:
            group += (digit if given and digit else 1) * _PLACES[character]
            digit, given = 0, False
        elif group or digit:
            total, group, digit, given = (total + group + digit) * _LARGE[character], 0, 0, False
        else:
            return None
    return total + group + digit


def han_number(text: str) -> str:
    """A text that is a Chinese number as a whole, perhaps with a word for pieces, in digits; else as it is."""
    written = han_digits(text)
    return written if written == text else _PIECES.sub("", written) if _PIECES.search(written) else text


_VALUE = r"(?=-?\d|[$\\(]|[a-z](?:_\d)?\s?=)"
_AND = re.compile(rf"(?<=[\d$)}}])(?:\s+(?:(?:und|et|и)\s+{_VALUE}|[ye]\s+(?=\d|\$|[a-z](?:_\d)?\s?=))"
                  rf"|\s*(?:和|与|及|と|와|과)\s*{_VALUE})")
_OR = re.compile(rf"(?<=[\d$)}}])(?:\s+(?:(?:oder|ou|или)\s+{_VALUE}|o\s+(?=\d|\$|[a-z](?:_\d)?\s?=))"
                 rf"|\s*(?:或者?|または)\s*{_VALUE})")
_SPOKEN = re.compile(r"\b(?:das|die|der|ist|sind|es|est|sont|les|des|une?|una?|los?|las?|il|és?|são|é|hay|è|sono|это|"
                     r"beträgt|kostet|cuesta|coûte|vale)\b|[äöüßéèêàçñóíúãõ]", re.IGNORECASE)
_ENGLISH = re.compile(r"\b(?:the|is|are|of|and|so|each|has|have|total|to|for|with|gives?|gets|needs|twice|there|she"
                      r"|they|from|by)\b", re.IGNORECASE)
_WITH_COMMA = re.compile(r"(?<![\d.,(\[{;])((?:\d{1,3}(?:\.\d{3})+|\d+)),(\d{1,2})(?![\d,)\]}])")


def joined(text: str) -> str:
    """Values that `und`, `et`, `y`, `或` and the like join, joined by `and` and `or`."""
    return _OR.sub(" or ", _AND.sub(" and ", text))


def is_spoken_elsewhere(line: str) -> bool:
    """Whether a sentence is of another European language."""
    return _ENGLISH.search(line) is None and _SPOKEN.search(line) is not None


def with_points(line: str) -> str:
    """A sentence of a language with decimal commas with decimal points: `12,5 cm`, `1.200,50 Euro`."""
    return _WITH_COMMA.sub(lambda number: f"{number[1].replace('.', '')}.{number[2]}", line)


def in_digits(head: str, clause: str) -> str:
    """What follows a word for `answer` (`Antwort`), with a number at its beginning in digits."""
    named = _BY_HEAD.get(head.casefold())
    if named is None:
        return han_digits(clause.lstrip(" *")) if not clause.isascii() else clause
    word = _WORD.match(clause)
    value = named.get(word[1].casefold()) if word else None
    return clause if value is None or word is None else f"{value}{clause[word.end():]}"
