"""The depot outside our walls: vehicles, chargers, meters, grid and cloud, and the checkers that judge the
daemon.
"""
