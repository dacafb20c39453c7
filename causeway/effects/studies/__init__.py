"""A declared study from its frame to its answer: read, identify, estimate, refute, judge."""
