"""How much sampling one problem may cost, the same for every generator."""

from typing import Any, Literal

from pydantic import Field, field_validator

from stepforge.pipelines.options.base import Options


class Budget(Options):
    match: Literal["flops", "price", "samples"] = Field(description="Quantity in which the budgets are equal.")
    per_problem: float | str = Field(
        description="Budget per problem: a number, or the name of a generator whose `samples` set it."
    )
    pilot: int = Field(2, ge=1, description="Samples per problem to draw first, which measure the mean length.")

    @field_validator("per_problem", mode="before")
    @classmethod
    def _number_or_name(cls, value: Any) -> Any:
        """`2e9` is text in YAML, and a number here."""
        try:
            number = float(value)
        except (TypeError, ValueError):
            return value
        if not 0 < number < float("inf"):
            raise ValueError(f"budget.per_problem must be above 0 and finite, got {value}")
        return number
