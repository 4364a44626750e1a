"""Speed and memory, measured beside a baseline in the same run. Never part of the tests: machines are
shared and noisy.
"""
