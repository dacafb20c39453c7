"""Kill switches: flags and experiments that are switched off at once, whatever their declaration says."""
