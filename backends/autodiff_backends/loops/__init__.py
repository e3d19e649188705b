"""Programs as loops over strided statements: what compilers of kernels share."""
