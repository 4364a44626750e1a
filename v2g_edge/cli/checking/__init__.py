"""What ``v2g-edge check`` looks at beyond the site file itself, and how it reports."""
