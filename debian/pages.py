"""``python3 debian/pages.py FOLDER``: the manual pages and the shells' completions, from the commands and the
table of keys.

The package's build runs it. ``v2g-edge(1)`` comes from the parser, ``v2g-edge-site.toml(5)`` from the table
of keys that the example file is made from too.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

import shtab
from argparse_manpage.manpage import Manpage

from v2g_edge import __version__
from v2g_edge.cli.main import parser
from v2g_edge.config.dump import default_of
from v2g_edge.config.gridcode import code_names
from v2g_edge.config.keys import TABLES
from v2g_edge.config.layout import SiteFile, keys_of
from v2g_edge.config.schema import allowed_of, is_list, key_of, part_of
from v2g_edge.host.logs import message_id

SHELLS = {"bash": "v2g-edge.bash", "zsh": "_v2g-edge", "fish": "v2g-edge.fish"}

SITE_HEAD = """\
.SH NAME
v2g\\-edge\\-site.toml \\- the site file of v2g\\-edge
.SH DESCRIPTION
.I /etc/v2g\\-edge/site.toml
describes a depot for the daemon
.BR v2g\\-edge (1).
It is TOML 1.1 in UTF\\-8. Tables in single brackets stand once,
tables in double brackets once for each thing. Power is in W,
positive into the vehicle and out of the grid.
.B v2g\\-edge check FILE
reports every problem of a file at once. A commented file with every key is
.IR /usr/share/v2g\\-edge/site.example.toml .
"""

SITE_TAIL = """\
.SH FILES
.I /etc/v2g\\-edge/secrets/
holds one password a file, owned by root, mode 0600. The daemon sees NAME as
.IR /run/credentials/v2g\\-edge.service/secrets_NAME .
.SH SEE ALSO
.BR v2g\\-edge (1)
"""


def roff(text: str) -> str:
    """Text as roff shows it: no requests and no escapes in it."""
    plain = text.replace("\\", "\\e").replace("-", "\\-")
    return "\\&" + plain if plain.startswith((".", "'")) else plain


def site_page() -> str:
    """``v2g-edge-site.toml(5)``."""
    lines = [f'.TH V2G\\-EDGE\\-SITE.TOML 5 "" "v2g\\-edge {__version__}" "v2g\\-edge"\n{SITE_HEAD}']
    for field in keys_of(SiteFile):
        part = part_of(field.type)
        assert part is not None  # noqa: S101 - every top-level key is a table
        lines += [
            f".SH [[{field.name}]]" if is_list(field.type) else f".SH [{field.name}]",
            roff(TABLES[field.name]),
        ]
        lines += _keys(part, "")
    lines += [".SH GRID CODES", roff(", ".join(code_names())), SITE_TAIL]
    return "\n".join(lines)


def _keys(struct: type, prefix: str) -> Iterator[str]:
    for field in keys_of(struct):
        yield f".TP\n.B {roff(prefix + field.name)}"
        yield roff(key_of(struct, field.name).text)
        yield f".br\n{roff(f'({default_of(field)}; {allowed_of(struct, field)})')}"
        part = part_of(field.type)
        if part is not None:
            yield from _keys(part, f"{prefix}{field.name}.")


def command_page() -> str:
    """``v2g-edge(1)``."""
    data = {
        "project_name": "v2g-edge",
        "version": __version__,
        "manual_title": "v2g-edge",
        "description": "runs an electric-vehicle depot",
    }
    return str(Manpage(parser(), data))


def catalogue() -> str:
    """The journal's message catalogue (`journalctl -x`): what docs/events.md says of each kind."""
    entries = []
    for line in Path("docs/events.md").read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if not line.startswith("| `") or len(cells) < 4 or cells[0].strip("`").isupper():
            continue
        kind = cells[0].strip("`")
        text = f"Meaning: {cells[-2]}.\nWhat to do: {cells[-1]}."
        entries.append(
            f"-- {message_id(kind)}\nSubject: {kind}\nDefined-By: v2g-edge\nDocumentation:"
            f" man:v2g-edge(1)\n\n{text}\n"
        )
    return "\n".join(entries)


def main(folder: Path) -> None:
    """Write all of them."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "v2g-edge.1").write_text(command_page(), encoding="utf-8")
    (folder / "v2g-edge-site.toml.5").write_text(site_page(), encoding="utf-8")
    (folder / "v2g-edge.catalog").write_text(catalogue(), encoding="utf-8")
    for shell, name in SHELLS.items():
        (folder / name).write_text(shtab.complete(parser(), shell=shell), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
