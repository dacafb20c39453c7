"""Evaluation of flags in the words of OFREP, OpenFeature's remote evaluation protocol."""
