"""The second promise: every vehicle leaves charged. Proves, before a watt is exported, that all departures
still can be met.

Read ``demand`` (what each vehicle may still ask for), ``certificate`` (whether all of it fits: one exact
maximum flow), ``departures`` (the question of a tick), ``keep`` (what the envelope does with the answer). The
envelope makes the permits.
"""
