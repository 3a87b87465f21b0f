"""Run-ons: after its answer the model makes up another problem and solves that too (`#### 42\nQuestion: … #### 9`).

In: a text. Out: the offsets at which a new problem may start. The solution ends at the first of them that follows an
answer. Where the first heading has a number (`Problem 1:`, `Problem 2:`), those behind it are parts of one solution.
Marks of chat templates (`<|im_end|>`, `</s>`, `[INST]`) end the model's turn, whatever stands behind them.
"""

import re
from itertools import islice

from stepforge.builders.turns import TURN_END

MAX_HEADINGS = 8     # looked at, from the beginning
_NOUN = (r"(?:Question|QUESTION|Problem|PROBLEM|Exercise|Task|Exercice|Problème|Frage|Aufgabe|Pregunta|Problema"
         r"|Ejercicio|Pergunta|Questão|Domanda|Esercizio|Вопрос|Задача|问题|題目|题目|問題|문제|질문)")
_FURTHER = (r"(?:(?:Here is a|Here's a|A)nother|New|Next|Similar|Practice|Follow-up|Bonus|Extra|Additional|Math|Sample"
            r"|Word|Second|Related)"
            r" (?:[Qq]uestion|[Pp]roblem|[Ee]xercise|[Ee]xample|[Tt]ask)")
_NAME = (rf"(?:{_FURTHER}|{_NOUN}|Instruction|Input|Prompt|Human|Student|User|USER|user|question|Q|问|問|用户)")
_TURNS_TO = (r"(?:(?:Now|Next|Okay|OK),?[ ])?"
             r"(?:[Ll]et(?:['’]s| us| me)|[Ww]e(?:['’]ll| will| can)|I(?:['’]ll| will))[ ](?:now[ ])?"
             r"(?:try|do|solve|look at|consider|move on to|go to|work on)[ ]"
             r"(?:another|the next|one more|a (?:new|different|similar|second|related|harder))[ ](?:\w+[ ])?"
             r"(?:problem|question|exercise)")
_HEADING = re.compile(
    rf"(?:\n|\A)[ \t#>*_]{{0,12}}(?:"
    rf"(?:{_NAME}(?P<number>[ \t]*#?\d{{1,4}})?|(?:Example|Test case|例)[ \t]*#?(?P<example>\d{{1,4}}))"
    r"[ \t]*[*_]*[ \t]?[:：]"
    rf"|(?:{_NOUN}|Example)[ \t]*#?(?P<count>\d{{1,4}})[ \t]*"
    r"(?:\.?[*_]*[ \t]*(?=\r?\n)|\.[*_]*[ \t]+(?=[^\W\d_])|[*_]+[ \t])"
    rf"|Q(?P<short>\d{{1,4}})[.)][ \t]|Q\.[ \t]+(?=[A-Z]\w*['’\w]*[ \t]\w)|\[{_NOUN}\]|【{_NOUN}】"
    rf"|{_TURNS_TO}"
    rf")|(?:\n|\A)[ \t]*(?:#{{1,6}}|\*\*)[ \t]*{_NAME}(?P<marked>[ \t]*#?\d{{1,4}})?(?:\*\*)?[ \t]*(?=\r?\n)")
_TURN = re.compile(rf"{TURN_END}|<s>|<start_of_turn>|\[INST\]|\n<(?:user|human)>|<pad>"
                   r"|\n[ \t]*\n(?:User|USER|Human|HUMAN)[ ]?:"
                   r"(?=[^\n]*\s+(?:Assistant|ASSISTANT|AI|Bot)[ ]?:|[^\n]*\Z)"
                   r"|<[|｜](?:im_start|start(?:_header_id)?|begin▁of▁sentence|[Uu]ser|human)[|｜]>")

# Before a heading: a result that is computed, and what is only given. Behind it: an answer that is marked.
COMPUTED = re.compile(r"[\d)}%]\s*(?:[-+*/^×÷x]|\\(?:times|cdot|div)(?![a-zA-Z]))\s*[-\d({\\$][^\n=]{0,200}="
                      r"|\b(?:[Ss]o|[Tt]hus|[Tt]herefore|[Hh]ence)\b[^.\n]{0,80}=")
MARKED = re.compile(r"\\(?:boxed|fbox)|####")
GIVEN = re.compile(r"[\W_]*(?:(?:we )?(?:are |have )?given|let|suppose|assume|known|facts?|data|input|understand\w*"
                   r"|gegeben|sei|soit|données|dado|dados|datos|sea|sean|дано|пусть|已知|条件|设)\b", re.IGNORECASE)
PROBLEM = re.compile(rf"\s*[#>*_ \t\[【]*(?:{_FURTHER}|{_NOUN}|Q|问|問|{_TURNS_TO})")


def new_problems(text: str) -> list[int]:
    """Offsets of the headings that start a problem; a heading at offset 0 is the problem that was asked."""
    headings = list(islice(_HEADING.finditer(text), MAX_HEADINGS))
    parts = len(headings) > 1 and any(headings[0].groups())
    return [heading.start() for heading in headings[:1 if parts else None] if heading.start()]


def turn_ends(text: str) -> list[int]:
    """Offsets of the marks that end the model's turn or begin another's."""
    if not any(mark in text for mark in ("<", "[INST]", "\nU", "\nH")):
        return []
    return [mark.start() for mark in islice(_TURN.finditer(text), MAX_HEADINGS)]


def without_turns(text: str) -> str:
    """The text without such marks."""
    return _TURN.sub("", text)
