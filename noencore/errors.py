"""The one exception that a user is meant to see."""


class UserError(Exception):
    """A mistake in a config, a file or the environment. The message is one line: what, where, and the cure."""
