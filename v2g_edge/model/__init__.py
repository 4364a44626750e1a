"""Frozen value types: what every room may know, and nothing that acts.

Nothing here reads a clock, a file, a socket or a random number. Sign everywhere: + is power into the
vehicle and import from the grid. Units stand last in a name. Wall times are UTC epoch seconds; ``now_s``
and ``at_s`` are seconds of one monotonic clock and serve ages and timers only.
"""
