"""
The nouns of the API: a module each, with everything that belongs to the noun; `projects` is the pattern.

From top to bottom such a module has

- `FORM`, and further forms: what bodies may say. Fields that several nouns have are in `forms.fields`;
- `LISTING`: what its list can be asked for;
- its rules: public functions over the world, named by what they do (`create`, `archive`), which take a body as it was
  sent and refuse by raising. Other nouns, the people and the seed use them;
- the handlers of its calls, from a `Call` to an `Answer`;
- `ROUTES`: handlers by method and path below /api/v1;
- `DESCRIPTIONS` and `SCHEMAS`: what the OpenAPI document tells of the same calls, and of the noun in answers.

A noun that is too large for one module is a package, whose module `calls` has the list and the last three, as that of
`pools`. What several nouns share has a module without routes: `uploads` and `overlaps` of tasks and suites,
`dynamic_overlap`, `aggregation`, `known_skills` and `people`. `routes` joins the tables of all nouns.

What the world keeps of a noun, and how that looks in an answer, is in `world.entities`, `world.items` and
`world.people`: snapshots consist of it.
"""
