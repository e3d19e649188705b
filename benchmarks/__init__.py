"""Side-by-side benchmarks of autodiff against its peers. Run ``python -m benchmarks``."""
