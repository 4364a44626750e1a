"""Answers to the control socket: one module a topic. ``app`` builds the handlers and owns the state they
read.
"""
