"""Jinja templates of a user's, rendered where they can do no harm: sandboxed, an unknown variable is an error."""

from functools import lru_cache

from jinja2 import StrictUndefined, Template, TemplateError
from jinja2.sandbox import SandboxedEnvironment

from stepforge.builders.errors import UserError

_ENVIRONMENT = SandboxedEnvironment(undefined=StrictUndefined, trim_blocks=True, keep_trailing_newline=True,
                                    autoescape=False)


def render_template(field: str, template: str, variables: str, **values: object) -> str:
    """What the template makes of `values`.

    Args:
        field: the option of the recipe that it came from, for the error.
        variables: names of the values in words, for the error.

    Raises:
        UserError: it is no template, or uses a variable or filter that does not exist.
    """
    try:
        return _compiled(template).render(**values)
    except (TemplateError, TypeError, ValueError, ArithmeticError) as error:
        raise UserError(f"{field}: the template cannot be rendered: {error}; it may use {variables}") from error


@lru_cache(maxsize=64)
def _compiled(template: str) -> Template:
    return _ENVIRONMENT.from_string(template)
