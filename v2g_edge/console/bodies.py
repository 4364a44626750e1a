"""What requests carry. A field that is not named here is refused."""

from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from v2g_edge.console.roles import NAME_MAX, Role

TOKEN_DAYS_MAX: Final = 366


class Strict(BaseModel):
    """A body with no other fields than those named."""

    model_config = ConfigDict(extra="forbid")


class Claim(Strict):
    """The one-time code, and the engineer's account that it makes."""

    code: str = Field(max_length=64)
    name: str = Field(max_length=NAME_MAX)
    password: str = Field(max_length=256)


class Login(Strict):
    """A name and its password."""

    name: str = Field(max_length=NAME_MAX)
    password: str = Field(max_length=256)


class Order(Strict):
    """Standing orders, as the daemon's ``operate`` takes them, and why they are given. What is left out
    stays as it is.
    """

    stop: bool | None = None
    export_hold: bool | None = None
    acknowledge: str | None = Field(default=None, max_length=200)
    why: str = Field(default="", max_length=200)


class TonightOrder(Strict):
    """An order for tonight, as the daemon's ``order`` takes it. Times are "HH:MM" in the site's zone, or
    ISO 8601.
    """

    kind: Literal["boost", "depart", "skip", "no-v2g", "priority", "limit", "mute"]
    subject: str = Field(min_length=1, max_length=200)
    until: str | None = Field(default=None, max_length=40)
    at: str | None = Field(default=None, max_length=40)
    soc_pct: float | None = Field(default=None, ge=0.0, le=100.0)
    limit_w: float | None = Field(default=None, ge=0.0, le=1e8)
    trial: bool = False
    why: str = Field(default="", max_length=120)


class NewPassword(Strict):
    """One's own password, old and new."""

    old: str = Field(max_length=256)
    new: str = Field(max_length=256)


class NewPerson(Strict):
    """An account to make or change."""

    name: str = Field(max_length=NAME_MAX)
    role: Role
    password: str = Field(max_length=256)


class NewToken(Strict):
    """A token for programs."""

    label: str = Field(min_length=1, max_length=NAME_MAX)
    role: Role
    days: int = Field(ge=1, le=TOKEN_DAYS_MAX)
