"""One experiment as one HTML page: plain values in, text out."""
