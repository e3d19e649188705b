"""What backends see: abstract values, primitives and programs. Data only."""
