"""Tables of options: which they name, and the ends of what a model of options takes."""

from typing import get_args


def bounds(model):
    """Every option with bounds or words to choose from, at each of them."""
    for name, field in model.model_fields.items():
        yield from ((name, word) for word in get_args(field.annotation) if isinstance(word, str))
        for kind, inside in (("ge", 0), ("gt", 1e-9), ("le", 0), ("lt", -1e-9)):
            yield from ((name, getattr(bound, kind) + inside) for bound in field.metadata if hasattr(bound, kind))


def named(table):
    """Options that the rows of a table change: each row ends in pairs of options and what they make."""
    return {name for *_, changed in table for options, _ in changed for name in options}
