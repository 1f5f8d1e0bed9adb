"""The nouns of the API: each module has the calls about one, its list, its form and its rules."""
