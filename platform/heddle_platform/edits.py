"""An edit request: which adapter, which factors, and what must stay."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from heddle_platform.errors import Detail, InvalidInput

Detailing = Literal["auto", "decode", "preserve"]


class EditRequest(BaseModel):
    """One edit as it travels on the wire.

    Attributes:
        adapter: name of an adapter, with an alias or a version behind `@`: "avatars@production", "avatars@3".
            Without it, "@production" is meant.
        set: factor -> level name (levelled), true/false (binary) or value in the factor's unit (numeric).
        shift: factor -> steps along the levels (ordinal), amount in the factor's unit (numeric), or +1/-1 (binary).
        preserve: factors whose reading must not move: the edit is projected off their read directions.
        detail: "decode" returns the decoder's picture, "preserve" adds only the change to the original picture,
            "auto" takes for each edit what the adapter's card measured as better.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    adapter: str = Field(min_length=1, max_length=200)
    set: dict[str, str | bool | float] = Field(default_factory=dict, max_length=200)
    shift: dict[str, float] = Field(default_factory=dict, max_length=200)
    preserve: tuple[str, ...] = Field((), max_length=200, fail_fast=True)
    detail: Detailing = "auto"

    @model_validator(mode="after")
    def _one_meaning(self) -> "EditRequest":
        both = sorted(self.set.keys() & self.shift.keys())
        if both:
            raise ValueError(f"{both[0]!r} stands in both set and shift; choose one")
        held = sorted((self.set.keys() | self.shift.keys()) & {*self.preserve})
        if held:
            raise ValueError(f"{held[0]!r} is edited and preserved at once; choose one")
        return self

    @property
    def adapter_name(self) -> str:
        """The adapter's name without alias or version."""
        return self.adapter.partition("@")[0]

    @property
    def adapter_reference(self) -> str:
        """The alias or version number behind `@`; "production" where none is given."""
        return self.adapter.partition("@")[2] or "production"


def parse_edit(document: Any) -> EditRequest:
    """Check an edit document.

    Raises:
        InvalidInput: code `invalid_edit`, one detail per fault with its JSON pointer.
    """
    try:
        return EditRequest.model_validate(document)
    except ValidationError as error:
        details = [
            Detail(
                pointer="".join(f"/{step}" for step in fault["loc"]),
                code=str(fault["type"]),
                detail=str(fault["msg"]).removeprefix("Value error, "),
            )
            for fault in error.errors(include_url=False)
        ]
        raise InvalidInput(
            f"the edit has {len(details)} fault(s); the first, at {details[0].pointer or '/'}: {details[0].detail}",
            code="invalid_edit",
            param=details[0].pointer or "edit",
            details=details,
        ) from None
