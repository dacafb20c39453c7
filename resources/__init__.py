"""With what things are done: settings, Postgres, and what else an asset or the command line needs to
reach.
"""
