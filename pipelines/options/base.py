"""What every group of options shares: frozen, unknown keys refused, one sentence under each field."""

from pydantic import BaseModel, ConfigDict

NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"


class Options(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")
