"""What users declare in YAML, as typed, frozen models, and the reader that names the line of whatever is
wrong.
"""
