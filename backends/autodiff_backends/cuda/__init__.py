"""Loops as CUDA kernels: text that compiles as C++ too."""
