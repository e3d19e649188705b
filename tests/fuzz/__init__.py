"""Random programs, written down as NumPy source, and what they are held to."""
