"""Pictures for asset pages: plain numbers in, PNG bytes out."""
