raise RuntimeError("the weights server does not answer")
