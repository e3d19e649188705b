"""CuPy: arrays on CUDA GPUs."""
