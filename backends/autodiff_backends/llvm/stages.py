"""Parts of a kernel that are executed one after another, and what threads that share one leave."""

from __future__ import annotations

from typing import NamedTuple

from ..loops.schedule import Segment
from .code import Code
from .values import DType


class Part(NamedTuple):
    """Memory of each thread: what it leaves of a sum, or works in.

    Attributes
    ----------
    size : int
        Numbers for each.
    dtype : numpy.dtype
    stage : int
        The number of the stage that threads share.
    """

    size: int
    dtype: DType
    stage: int


class Stage:
    """A part of a kernel that is executed as a whole before the next one.

    Attributes
    ----------
    code : Code
    extent : int or None
        Iterations of its outermost loop, which threads may share; None for what one thread does.
    segment : Segment or None
        What is repeated stage after stage; None if a stage has all iterations, or there are none.
    nanoseconds : float
        What it takes, roughly.
    """

    __slots__ = ("code", "extent", "nanoseconds", "segment")

    def __init__(self, code: Code, extent: int | None = None, segment: Segment | None = None):
        self.code = code
        self.extent = extent
        self.segment = segment
        self.nanoseconds = 0.0
