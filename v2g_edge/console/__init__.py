"""The room of the web page and REST interface: a process and user of their own that talk to the control
socket only.
"""
