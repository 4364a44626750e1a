"""The ``v2g-edge`` command: asks the running daemon over its control socket, checks site files, replays
journals.
"""
