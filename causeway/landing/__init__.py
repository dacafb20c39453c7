"""From a landed table to raw records: bytes and frames in, frames out, and every row that cannot be used kept
with its reason.
"""
