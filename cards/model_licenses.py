"""What the licenses of models say of training on their output, as far as it is known here.

In goes the name of a license as model cards on the Hub give it; out come a word and a sentence for the dataset card. A
license that is not listed is unknown: the card then asks its reader to read it. So is `openrail`, the name of a family
whose texts differ. The clauses were compared with the published texts of the licenses. None of this is legal advice.
"""

from typing import Literal, NamedTuple

Word = Literal["permitted", "conditions", "forbidden", "unknown"]


class Terms(NamedTuple):
    word: Word
    sentence: str


_PERMITTED = Terms("permitted", "The license sets no terms for training on output.")
_LLAMA = Terms("conditions", "A model that is trained on the output and distributed carries a name that begins with "
               "Llama.")
_FORBIDDEN = Terms("forbidden", "The license forbids improving another language model with the output; models of "
                   "the same family are exempt.")
_NONCOMMERCIAL = Terms("conditions", "The license allows no commercial use.")
_RESEARCH = Terms("conditions", "The license allows research alone, for output as for the model.")
_QWEN = Terms("conditions", "A model that is trained on the output and distributed says in its documentation that it "
              "was built with, or improved using, Qwen.")
_QWEN_RESEARCH = Terms("conditions", f"{_NONCOMMERCIAL.sentence} {_QWEN.sentence}")
_DERIVATIVE = Terms("conditions", "The license counts a model that learns from the output to perform like this one as "
                    "a derivative, and its limits of use go with it.")
TERMS: dict[str, Terms] = {
    **dict.fromkeys(("apache-2.0", "mit", "bsd-2-clause", "bsd-3-clause", "cc0-1.0", "unlicense", "isc"), _PERMITTED),
    **dict.fromkeys(("llama3.1", "llama3.2", "llama3.3", "llama4"), _LLAMA),
    **dict.fromkeys(("llama2", "llama3"), _FORBIDDEN),
    **dict.fromkeys(("cc-by-nc-4.0", "cc-by-nc-sa-4.0", "cc-by-nc-nd-4.0"), _NONCOMMERCIAL),
    "mrl": _RESEARCH, "qwen": _QWEN, "qwen-research": _QWEN_RESEARCH,
    **dict.fromkeys(("gemma", "deepseek", "openrail++", "bigscience-openrail-m", "bigscience-bloom-rail-1.0",
                     "creativeml-openrail-m"), _DERIVATIVE),
}
UNKNOWN = Terms("unknown", "Read the license of the model before you train on this.")


def terms_of(license: str | None) -> Terms:
    """The terms of a license by its name on the Hub; unknown where it is not listed, or where there is none."""
    return TERMS.get(str(license).strip().lower(), UNKNOWN)
