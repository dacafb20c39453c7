"""GrowthBook's SDKs: their payloads read and written, their results, their rules for URLs."""
