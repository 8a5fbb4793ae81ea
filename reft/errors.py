"""Errors a user can mend: one line that names the thing, the value and the remedy; no traceback, exit status 2."""


class UserError(Exception):
    """Something outside the code is wrong: a setting, a file, a machine."""


class ConfigError(UserError):
    """A setting is unknown, of the wrong type or out of range."""


class DataError(UserError):
    """A data set is missing, empty or not of the described form."""


class RunError(UserError):
    """A run cannot go on: its folder, its cluster or its model is not what it needs."""


class RankError(Exception):
    """A process of the run raised an error that is no user's: which process, where and why. The cause is what it raised."""


class LostProcessError(RunError):
    """A process of the run died or does not answer; the run can go on from what it has saved."""
