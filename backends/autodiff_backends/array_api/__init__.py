"""Any library of the Python array API standard."""
