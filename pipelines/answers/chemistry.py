"""Chemical formulas: `C6H12O6`, `\\mathrm{C_6H_{12}O_6}` and `C₆H₁₂O₆` are the same.

Two answers as written go in, whether they are one formula comes out.
"""

import re
import unicodedata

_ELEMENTS = """H He Li Be B C N O F Ne Na Mg Al Si P S Cl Ar K Ca Sc Ti V Cr Mn Fe Co Ni Cu Zn Ga Ge As Se Br Kr Rb Sr
    Y Zr Nb Mo Tc Ru Rh Pd Ag Cd In Sn Sb Te I Xe Cs Ba La Ce W Pt Au Hg Tl Pb Bi Rn Ra Th U""".split()
_FORMULA = re.compile(rf"(?:(?:{'|'.join(sorted(_ELEMENTS, key=len, reverse=True))}|[()])\d{{0,3}})+(?:\^?\d?[+-])?"
                      ).fullmatch
_HYBRID = re.compile(r"sp\^?[23]?(?:d\^?2?)?").fullmatch
_SPLIT = re.compile(r"_\{\d+\}\s*\d|_\d\s+\d").search
_MARKUP = re.compile(r"\\(?:text|mathrm|ce|rm)\s*(?=\{)|\\[,;: ]|[${}_\s]")


def same_formula(gold: str, answer: str) -> bool:
    """Whether both texts are one chemical formula with a number in it, or one hybridisation, however they are set."""
    if not any(map(str.isupper, gold)) and not gold.startswith("sp"):
        return False
    if _SPLIT(gold) or _SPLIT(answer):
        return False                                           # K_{3}3
    first, second = (_MARKUP.sub("", unicodedata.normalize("NFKC", text)).rstrip(".") for text in (gold, answer))
    if _HYBRID(first) and _HYBRID(second):
        return first.replace("^", "") == second.replace("^", "")
    known = _FORMULA(first) is not None and any(map(str.isdigit, first)) and len(first) > 2
    return known and first == second
