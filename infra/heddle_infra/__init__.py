"""The outside world behind the platform's ports, and how to stand it up on one machine."""
