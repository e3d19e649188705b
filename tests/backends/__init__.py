"""Backends one by one, below what the conformance suite sees; and what stands in for devices that are not there."""
