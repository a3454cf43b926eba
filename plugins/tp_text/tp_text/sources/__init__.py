"""Sources of published data sets of texts, whose files have forms of their own."""
