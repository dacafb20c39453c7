"""The design of an experiment: power, duration and validity from the history of the metric itself."""
