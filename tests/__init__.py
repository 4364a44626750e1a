"""Tests: one file per module, each test states a promise."""
