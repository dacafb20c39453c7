"""Assignment of a whole table of units at once, equal to the evaluation of each."""
