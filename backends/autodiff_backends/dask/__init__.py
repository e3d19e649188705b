"""Dask: arrays in blocks, on one machine or many."""
