"""Example modules of many kinds. tp finds them through the entry points of this distribution."""
