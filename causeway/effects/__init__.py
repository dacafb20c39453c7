"""Effects that need a model: within segments of a trial, and without a trial at all."""
