"""``python -m v2g_edge.cli``: the same as ``v2g-edge``."""

import sys

from v2g_edge.cli.main import main

sys.exit(main())
