"""Sources of clips, one file each: every source makes the same catalogue table."""
