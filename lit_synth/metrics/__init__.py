"""Pure functions of features (or images), computed in float64; every number travels with a card."""
