"""The pages for people: rendered here, without state, readable without JavaScript."""
