"""The depot's own day plan, from prices; pure."""
