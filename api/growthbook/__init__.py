"""What GrowthBook's SDKs ask for, so that they work against this API unchanged."""
