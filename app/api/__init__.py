"""HTTP: the app factory, its routes, problem+json, and the API's own documentation."""
