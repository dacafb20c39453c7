"""An experiment, or a study, as one HTML page: plain values in, text out."""
