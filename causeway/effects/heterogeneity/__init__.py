"""Does the effect differ between units, for whom is it larger, and is acting on that worth it?"""
