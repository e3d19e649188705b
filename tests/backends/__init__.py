"""Each backend: what it makes of programs, and what it computes with that."""
