"""The site file: TOML in, ``Settings`` out, or every problem of the file at once."""

from v2g_edge.config.dump import dump
from v2g_edge.config.load import Report, inspect, load
from v2g_edge.config.problems import ConfigError, Problem

__all__ = ["ConfigError", "Problem", "Report", "dump", "inspect", "load"]
