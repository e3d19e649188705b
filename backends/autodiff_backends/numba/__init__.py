"""Numba: loops compiled for the CPU."""
