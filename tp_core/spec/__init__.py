"""The model spec: from YAML text with positions to validated, chosen modules."""
