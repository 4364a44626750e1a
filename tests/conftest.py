"""What all tests share: how hypothesis draws its examples.

No deadline: a busy machine says nothing about how fast a function is. In the test command the examples are
the same at every run; ``HYPOTHESIS_PROFILE=search`` draws new ones (`make fuzz` and `make soak` do), and what
that finds becomes an example here.
"""

import os

from hypothesis import settings

import v2g_edge.planner  # noqa: F401 - before anything loads numpy: one thread for linear algebra

settings.register_profile("house", deadline=None, derandomize=True)
settings.register_profile("search", deadline=None, derandomize=False, max_examples=1_000, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "house"))
