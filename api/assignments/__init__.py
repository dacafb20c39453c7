"""Assignment of units to variants, kept before it is answered."""
