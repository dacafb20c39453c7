"""Estimators of an average effect: arrays in, an effect and what each unit contributes to its error out."""
