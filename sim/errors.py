"""Errors that a user can mend: one line that names the thing and says what to do."""


class UserError(Exception):
    """Bad input. The command line prints it as one line and exits with status 2; nothing is lost."""


class WorldLost(Exception):
    """The simulator died or stopped answering in mid-episode. Results so far are kept; exit status 1."""
