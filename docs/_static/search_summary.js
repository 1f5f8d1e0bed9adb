// Where the site is served, a search shows an excerpt of each page.
DOCUMENTATION_OPTIONS.SHOW_SEARCH_SUMMARY = location.protocol !== "file:";
