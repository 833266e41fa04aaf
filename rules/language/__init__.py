"""The segment language: a document is parsed, checked and put into words here (planned in `rules.plan`)."""
