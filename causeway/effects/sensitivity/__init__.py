"""How strong would something unmeasured have to be? For every estimator, from what it is known by."""
