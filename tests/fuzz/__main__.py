"""`make fuzz`: every target of this package, each in a process of its own. `python -m tests.fuzz ocpp 300`
runs one for 300 s. `cost` is the hunt for the most expensive input (``_cost``).

An input that breaks a promise is kept in ``build/fuzz``; it belongs into the target's seeds, with the repair.
"""

import importlib
import pkgutil
import subprocess
import sys
import tempfile
from pathlib import Path

import tests.fuzz

SECONDS = 60
FOUND = Path("build/fuzz")

LAUNCH = """
import importlib, sys, atheris
with atheris.instrument_imports(include=["v2g_edge"]):
    target = importlib.import_module("tests.fuzz." + sys.argv[1])
atheris.Setup(sys.argv[:1] + sys.argv[2:], target.feed, custom_mutator=target.mutator)
atheris.Fuzz()
"""
"""Only what is imported inside the block is watched for coverage; instrumenting every library takes a
minute.
"""


def main() -> int:
    """Run the named target, or all of them; the exit code is that of the first that failed."""
    found = sorted(
        module.name for module in pkgutil.iter_modules(tests.fuzz.__path__) if not module.name.startswith("_")
    )
    words = sys.argv[1:]
    seconds = next((int(word) for word in words if word.isdigit()), SECONDS)
    FOUND.mkdir(parents=True, exist_ok=True)
    for name in [word for word in words if not word.isdigit()] or ["cost", *found]:
        if name == "cost":
            if code := subprocess.run(
                [sys.executable, "-m", "tests.fuzz._cost", str(seconds)], check=False
            ).returncode:
                return code
            continue
        if name not in found:
            sys.stderr.write(f"no target {name!r}; there are cost, {', '.join(found)}\n")
            return 2
        with tempfile.TemporaryDirectory() as corpus:
            for number, seed in enumerate(importlib.import_module(f"tests.fuzz.{name}").seeds()):
                (Path(corpus) / str(number)).write_bytes(seed)
            command = [sys.executable, "-c", LAUNCH, name, f"-max_total_time={seconds}", "-max_len=20000"]
            command += [f"-artifact_prefix={FOUND}/", corpus]
            code = subprocess.run(command, check=False).returncode
        if code:
            return code
    return 0


if __name__ == "__main__":
    sys.exit(main())
