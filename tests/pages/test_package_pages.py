"""The package's manual pages, completions and message catalogue: made from the program, readable by what
shows them.
"""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from v2g_edge.cli.main import COMMANDS
from v2g_edge.config.keys import TABLES
from v2g_edge.host.logs import message_id


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pages")
    subprocess.run([sys.executable, "debian/pages.py", str(folder)], check=True, env={"PYTHONPATH": "."})
    return folder


def test_the_manual_names_every_command_and_the_site_file_every_table(made: Path) -> None:
    command = (made / "v2g-edge.1").read_text().replace("\\-", "-")
    site = (made / "v2g-edge-site.toml.5").read_text()
    assert [name for name in COMMANDS if f"v2g-edge {name}" not in command] == []
    assert [name for name in TABLES if f"[{name}]" not in site] == []


def test_no_line_of_a_page_is_taken_for_a_request_that_there_is_not(made: Path) -> None:
    """A line that begins with a dot or an apostrophe would vanish from the page."""
    known = {
        ".TH",
        ".SH",
        ".SS",
        ".TP",
        ".B",
        ".BR",
        ".I",
        ".IR",
        ".R",
        ".br",
        ".RS",
        ".RE",
        ".PP",
        ".P",
        ".nf",
        ".fi",
        "'\\\"",
    }
    for page in ("v2g-edge.1", "v2g-edge-site.toml.5"):
        found = {
            line.split()[0] for line in (made / page).read_text().splitlines() if line.startswith((".", "'"))
        }
        assert found <= known, page


def test_the_shells_accept_their_completions(made: Path) -> None:
    subprocess.run(["bash", "-n", str(made / "v2g-edge.bash")], check=True)
    for name in ("_v2g-edge", "v2g-edge.fish"):
        assert "failsafe" in (made / name).read_text()


def test_the_catalogue_explains_each_kind_under_its_id(made: Path) -> None:
    text = (made / "v2g-edge.catalog").read_text()
    assert f"-- {message_id('disobedient')}\nSubject: disobedient\n" in text
    ids = re.findall(r"^-- ([0-9a-f]{32})$", text, re.M)
    assert len(ids) == len(set(ids)) > 30
