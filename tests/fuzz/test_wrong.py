"""Wrong calls by the thousand are errors of this library, as early as NumPy's, and nothing is left behind."""

import gc
import os
import warnings

import numpy as np
import pytest

import autodiff as ad

from .wrong import complaint, missing, wrong_calls

# One in so many: a call takes about a millisecond.
EVERY = 1 if "NIGHTLY" in os.environ else 19


@pytest.mark.parametrize("part", range(4))
def test_wrong_calls_are_errors_and_never_wrong_numbers(part):
    calls = list(wrong_calls())[part::4]
    found = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for wrong in calls[part % EVERY :: EVERY]:
            text = complaint(wrong)
            if text:
                found.append(f"{wrong}: {text}")
    assert not found, "\n".join(found)
    assert gc.isenabled()
    x = ad.Tensor([1.0, 2.0])
    np.testing.assert_array_equal(ad.Graph().gradient(np.sum(x * x), [x])[0], [2.0, 4.0])


def test_every_function_is_called_wrongly():
    assert not missing()
