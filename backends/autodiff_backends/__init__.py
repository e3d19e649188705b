"""Array libraries that ``autodiff`` runs on, one module each. Found by name through the registry."""
