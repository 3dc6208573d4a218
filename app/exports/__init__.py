"""Reports in other people's formats, each a pure function of a report."""
