class AnyConfig(
