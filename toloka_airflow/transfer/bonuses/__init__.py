"""From a file of bonuses, or a function of answers, to money for people, each bonus paid once."""
