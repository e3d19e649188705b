"""LLVM: loops compiled for the CPU, as builtins of CPython."""
