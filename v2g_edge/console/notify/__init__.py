"""Alarms by mail and webhook, and the depot as entities of Home Assistant: a process of its own beside the
daemon.
"""
