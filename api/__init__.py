"""The read layer, assignment and ingestion over HTTP. It computes no statistics."""
