"""The way to tp from TencentPretrain and UER."""
