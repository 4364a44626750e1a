"""The three roles, in their order."""

from typing import Final, Literal

Role = Literal["viewer", "operator", "engineer"]
ROLES: Final[tuple[Role, ...]] = ("viewer", "operator", "engineer")
"""Each may what those before it may."""
NAME_MAX: Final = 64
"""Characters of a person's name."""
