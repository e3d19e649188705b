"""Pages that are generated, and checks of docstrings: `python -m docs.generate` writes them."""
