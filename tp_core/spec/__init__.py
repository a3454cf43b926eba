"""The model spec: parsing of YAML with positions, validation, and the choice of modules."""
