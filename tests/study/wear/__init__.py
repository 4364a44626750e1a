"""Tests of `v2g_edge.study.wear`."""
