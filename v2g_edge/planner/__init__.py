"""The depot's own day plan, from prices; pure.

Linear algebra on one thread, where the process has not said otherwise: the plan's matrices are small, and the
idle threads of OpenBLAS spin (41 s of CPU instead of 1.4 s for eight depots on two busy cores). The library
reads this once, when numpy is loaded.
"""

import os

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(_name, "1")
