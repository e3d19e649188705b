"""The benchmarks on a CUDA GPU, ``python -m benchmarks.gpu``: definitions and harness are those of the CPU."""
