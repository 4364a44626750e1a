"""``make kills``: see the package. A module of this name is not imported anew by each forked process."""

# ruff: noqa: T201 - it is a command: printing is its job
import asyncio
import random
import sys
import tempfile
from pathlib import Path

from tests.cloud.kills import SEED, kills


def main() -> int:
    """0 when all held."""
    count = int(sys.argv[1]) if sys.argv[1:] else 1_000
    with tempfile.TemporaryDirectory(prefix="v2g-edge-kills-") as name:
        print(asyncio.run(kills(Path(name), count, random.Random(SEED))))
    return 0


if __name__ == "__main__":
    sys.exit(main())
