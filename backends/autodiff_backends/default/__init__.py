"""What computes where nobody has chosen: NumPy's plans at once, machine code when it pays."""
