"""How much sampling one problem may cost, the same for every generator."""

from typing import Any, Literal

from pydantic import Field, field_validator

from stepforge.pipelines.options.base import Options


class Budget(Options):
    match: Literal["flops", "price", "samples"] = Field(description="What every generator may spend alike.")
    per_problem: float | str = Field(
        description="How much of it on one problem, or the name of a generator: what its `samples` cost."
    )
    pilot: int = Field(2, ge=1, description="First samples of every problem, from which the mean length is measured.")

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
