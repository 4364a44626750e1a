"""``python -m v2g_edge.config FILE`` prints the file with every key and its comment, as
etc/site.example.toml is made; ``--manual`` prints the reference part of docs/configuration.md.

``--packed FILE`` prints the settings for a daemon (MessagePack), and on stderr a line for each warning. With
``--packed - FILE`` the text comes from standard input, and the drop-ins of FILE are laid over it.
"""

import sys
from pathlib import Path

import msgspec

from v2g_edge.config import ConfigError, dump, inspect, load
from v2g_edge.config.load import inspect_text
from v2g_edge.config.manual import manual

try:
    if sys.argv[1] == "--manual":
        sys.stdout.write(manual())
    elif sys.argv[1] == "--packed":
        report = (
            inspect_text(sys.stdin.read(), "the new file", Path(sys.argv[3]))
            if sys.argv[2] == "-"
            else inspect(Path(sys.argv[2]))
        )
        if report.settings is None:
            raise ConfigError(report.errors)
        sys.stdout.buffer.write(msgspec.msgpack.encode(report.settings))
        sys.stderr.write("".join(f"{problem}\n" for problem in report.problems))
    else:
        sys.stdout.write(dump(load(Path(sys.argv[1])), commented=True))
except ConfigError as error:
    sys.exit(str(error))
