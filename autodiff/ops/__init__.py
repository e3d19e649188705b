"""The primitives and the functions composed of them, from nodes to nodes. Derivative rules are written with these.

A name that a topic defines is here too, unless it begins with an underscore.
"""

# ruff: noqa: F403  (a list would name each function a second time)

from . import special as special
from .calls import *
from .contractions import *
from .custom import *
from .derived import *
from .elementwise import *
from .factorizations import *
from .fft import *
from .flows import *
from .indexing import *
from .indices import *
from .linalg import *
from .matrix_functions import *
from .outputs import *
from .reductions import *
from .shapes import *
from .sorting import *
