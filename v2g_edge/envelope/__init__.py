"""What is allowed. The only maker of permits, the second line behind certified protection.

Read ``table`` (the trip mechanism), ``checks`` (this depot's rows), ``bounds`` and ``room``
(one charger), ``feeders``, ``permits``, ``gate``.
"""


class InvariantBroken(Exception):  # noqa: N818 - the name says what happened, in the design's own word
    """The gate found a permit that must not exist. The process ends; leases make the chargers safe."""
