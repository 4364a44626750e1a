"""``python -m v2g_edge.config FILE`` prints the file with every key and its comment, as etc/site.example.toml is made;
``--manual`` prints the reference part of docs/configuration.md.
"""

import sys
from pathlib import Path

from v2g_edge.config import dump, load
from v2g_edge.config.manual import manual

sys.stdout.write(manual() if sys.argv[1] == "--manual" else dump(load(Path(sys.argv[1])), commented=True))
