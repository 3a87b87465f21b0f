"""LaTeX becomes MathML; what is hostile or does not parse stays text, whatever it holds."""

import re
from html.parser import HTMLParser

import pytest

from stepforge.pipelines.views.mathematics import ATTRIBUTES, LONGEST, TAGS, formulas, markup, tree


class Seen(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict]] = []
        self.text = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text += data


def test_a_fraction_is_a_fraction_with_its_source_beside_it():
    made = markup(r"So $\frac{1}{2}$ is < 1.")
    assert made.startswith('So <span class="tex" title="$\\frac{1}{2}$"><math display="inline">')
    assert "<mfrac><mrow><mn>1</mn></mrow><mrow><mn>2</mn></mrow></mfrac>" in made
    assert made.endswith("</math><code>$\\frac{1}{2}$</code></span> is &lt; 1.")


@pytest.mark.parametrize(("text", "expected"), [
    ("a $x$ b $$y$$ c", ["$x$", "$$y$$"]), (r"\(x\) and \[y\]", [r"\(x\)", r"\[y\]"]),
    ("\\[a\n+b\\]", ["\\[a\n+b\\]"]), (r"\begin{align*}a&=b\end{align*}", [r"\begin{align*}a&=b\end{align*}"]),
    ("It costs $5 or $6, and $7 with $ 8.", []), ("$18 dollars and $20 dollars", []), (r"\$5 and \$6$", []),
    ("one $x\ntwo$", []), ("$$", []), ("$x$3", []), ("$x$, $y$", ["$x$", "$y$"]), ("$5$ apples", ["$5$"]),
])
def test_formulas_are_told_from_prices(text, expected):
    assert formulas(text) == expected


@pytest.mark.parametrize("formula", [
    r"$\foo x$", r"$\frac{1}$", r"$x_1_2$", "$" + "x" * LONGEST + "$", "$" + "{" * 900 + "}" * 900 + "$",
    r"$\begin{pmatrix}1 & 2$", r"$\phantom{a lie} x$", r"$\left( x$",
])
def test_what_does_not_parse_or_hides_text_stays_text(formula):
    assert markup(formula) == re.sub("&", "&amp;", formula)


HOSTILE = [
    "<img src=x onerror=alert(1)>", "</math><script>alert(1)</script>", r"\text{<img src=x onerror=alert(1)>}",
    r"\text{</mtext></math><script>alert(1)</script>}", r"\text{&lt;b&gt;}", r"\href{javascript:alert(1)}{x}",
    r"\style{position:fixed}{x}", r"\class{open}{x}", r"\cssId{data}{x}", r"\color{red;background:url(//x)}{x}",
    r"\hspace{-99em}x", r"\mathrlap{x}y", r"\unicode{60}", r"x' onclick='alert(1)", 'x" onclick="alert(1)',
    r"\operatorname{<svg onload=alert(1)>}", r"\mathrm{<b>}", r"\begin{array}{<b>}x\end{array}", r"\tag{<b>}",
    r"\require{<b>}", r"\kern-9em x", r"\raise9em{x}", "<!--", "]]>", "\u202ex",
]


@pytest.mark.parametrize("body", HOSTILE)
@pytest.mark.parametrize("form", ["${}$", r"\[{}\]", "$${}$$"])
def test_hostile_formula_is_no_markup(body, form):
    source = form.replace("{}", body)
    seen = Seen(str(markup(source)))
    assert {tag for tag, _ in seen.tags} <= TAGS | {"span", "code"}
    for tag, attributes in seen.tags:
        allowed = {"class", "title"} if tag == "span" else set() if tag == "code" else ATTRIBUTES
        assert set(attributes) <= allowed
        assert all(re.fullmatch(r"[\w .%-]*", value) for name, value in attributes.items() if name != "title")
        assert not any(re.match(r"-[1-9]|\d\d+em", value) for name, value in attributes.items() if name != "title")
    assert source in seen.text  # as text, or as the source beside the mathematics


def test_texts_of_a_tree_are_plain():
    """The page's script makes texts of them: an entity would be shown as such."""
    assert tree("$a < b$")[2][0][2][1] == ["mo", {}, "<"]
    assert tree(r"$\text{<b>}$")[2][0][2][0] == ["mtext", {}, "<b>"]


def test_common_constructs_of_solutions_are_known():
    for formula in (r"\sqrt[3]{x}", r"\sum_{i=1}^{n} i", r"\binom{n}{k}", r"\begin{cases} 1 & x>0 \\ 0 \end{cases}",
                    r"\boxed{42}", r"\overline{AB}", r"\angle ABC = 90^\circ", r"\text{if } x \le 1",
                    r"a \equiv b \pmod{7}",
                    r"\left\lfloor \frac{x}{2} \right\rfloor", r"\mathbb{R}", r"\vec{v} \cdot \hat{u}", r"50\%",
                    r"\begin{pmatrix} 1 & 2 \\ 3 & 4 \end{pmatrix}", r"\cfrac{1}{2}", r"\dfrac12", r"f'(x)"):
        assert tree(f"${formula}$") is not None, formula
