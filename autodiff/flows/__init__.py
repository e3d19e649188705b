"""Flows of control: loops and branches as operations, with their derivatives, their batches, and what runs them."""

from .backward import Step
from .bodies import Body, beside, body_of
from .branches import Switch, number_of
from .loops import While
from .scans import Scan

__all__ = ["Body", "Scan", "Step", "Switch", "While", "beside", "body_of", "number_of"]
