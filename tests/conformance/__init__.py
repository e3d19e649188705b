"""Every recorded NumPy function against NumPy's values and finite differences, from one table of operations."""
