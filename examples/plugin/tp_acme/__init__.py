"""An encoder, an embedding and a hook, found by tp through the entry points of this distribution."""
