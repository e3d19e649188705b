"""NumPy: programs as Python source of calls and blocks."""
