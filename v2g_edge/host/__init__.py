"""What the machine gives the daemon: time, a journal, a watchdog, logs, and the socket on which people ask
it things.
"""
