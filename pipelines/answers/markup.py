"""HTML in answers that came from web pages: `x &gt; 3`, `<p>4</p>`, `x<sup>2</sup>`.

A text goes in; the same text in LaTeX and without tags comes out.
"""

import html
import re

_ENTITY = re.compile(r"&(?:[a-zA-Z]{2,8}|#\d{1,6}|#x[0-9a-fA-F]{1,5});")
_RAISED = re.compile(r"<(sup|sub)>([^<>]{1,100})</\1>", re.IGNORECASE)
_PAIRED = re.compile(r"<(p|b|i|em|strong|span|div|u|font|math|var)(?: [^<>]{0,200})?>(.*?)</\1>",
                     re.DOTALL | re.IGNORECASE)
_BREAK = re.compile(r"<br ?/?>", re.IGNORECASE)
MAX_NESTED = 4       # pairs of tags around one another


def without_html(text: str) -> str:
    """The text with its entities as characters, raised and lowered parts as LaTeX, and no other tags of styles."""
    if "&" in text and ";" in text:
        text = _ENTITY.sub(lambda entity: html.unescape(entity[0]), text)
    if "<" not in text:
        return text
    text = _RAISED.sub(lambda part: f"{'^' if part[1].lower() == 'sup' else '_'}{{{part[2]}}}", _BREAK.sub(" ", text))
    for _ in range(MAX_NESTED):
        if (plainer := _PAIRED.sub(r"\2", text)) == text:
            break
        text = plainer
    return text
