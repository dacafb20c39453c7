"""From effects to actions: what is to be gained per segment, in which order, and with which budget."""
