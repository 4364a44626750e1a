"""The command line as a whole: what exists is documented, what is wrong ends with 2, what is missing is
not loaded.
"""

import subprocess
import sys
from pathlib import Path

import pytest

from v2g_edge.cli.main import COMMANDS, main, parser

ROOT = Path(__file__).parents[2]


def test_every_command_stands_in_the_manual() -> None:
    """docs/operator.md names each, or the page of who uses it."""
    pages = ("operator.md", "administrator.md", "energy-manager.md", "console.md")
    text = "".join((ROOT / "docs" / page).read_text(encoding="utf-8") for page in pages)
    assert [command for command in COMMANDS if f"v2g-edge {command}" not in text] == []


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Its module adds it under its own name."""
    with pytest.raises(SystemExit) as ended:
        parser(command).parse_args([command, "--help"])
    assert ended.value.code == 0
    assert f"v2g-edge {command}" in capsys.readouterr().out


def test_help_lists_all_commands(capsys: pytest.CaptureFixture[str]) -> None:
    """Without a command too."""
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    listed = {
        line.split()[0]
        for line in capsys.readouterr().out.splitlines()
        if line.startswith("    ") and line[4] != " "
    }
    assert listed == set(COMMANDS)


@pytest.mark.parametrize("words", [[], ["why"], ["status", "--nonsense"]])
def test_a_wrong_command_line_ends_with_2(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """argparse's own words on standard error."""
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 2
    assert "usage" in capsys.readouterr().err


def test_nobody_answers_is_1_and_says_what_to_do(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The socket is named."""
    assert main(["status", "--socket", str(tmp_path / "none.sock")]) == 1
    error = capsys.readouterr().err
    assert "none.sock" in error
    assert "systemctl status v2g-edge" in error


def test_asking_loads_neither_the_daemon_nor_numpy() -> None:
    """`status` in a loop of a script must not cost a second of CPU each time."""
    code = (
        "import sys; from v2g_edge.cli.main import main; main(['status', '--socket', '/nowhere']);"
        " print(*sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(run.stdout.split())
    assert not loaded & {"v2g_edge.app", "numpy", "pymodbus", "pydantic", "websockets"}


@pytest.mark.parametrize(("typed", "said"), [("statsu", "did you mean status"), ("frobnicate", "lists all")])
def test_a_command_that_is_not_quite_right_is_named(
    typed: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """In one line, not in a list of all."""
    with pytest.raises(SystemExit, match="2"):
        main([typed])
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
