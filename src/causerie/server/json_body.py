"""The base of all JSON that clients send: null means the default."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, Field, model_validator

from causerie.model.sampling import MAX_SEED


class JsonBody(BaseModel):
    """JSON of a client. A required field must not be null."""

    @model_validator(mode="before")
    @classmethod
    def _without_nulls(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        fields = cls.model_fields
        return {
            name: value
            for name, value in data.items()
            if value is not None or (name in fields and fields[name].is_required())
        }


def _seed(value: Any) -> Any:
    """None for -1, with which many programs mean a random seed."""
    return None if isinstance(value, (int, float, str)) and value in (-1, "-1") else value


#: The seed of a request; None picks one.
Seed = Annotated[Annotated[int, Field(ge=0, le=MAX_SEED)] | None, BeforeValidator(_seed)]
